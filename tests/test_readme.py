"""The README and the guide do what they say: their Python blocks run, and so does the README's second command."""

import multiprocessing
import os
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDE = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/guide/*.md")])
TEST_COMMAND = 'pip install -c constraints.txt -e ".[test]" && python -m pytest'


def blocks(page, language):
    """Yield (line number, text) of a page's fenced blocks in one language."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield text[: match.start(1)].count("\n"), match[1]


def _run(program, folder, errors):
    """Run a program as a fresh interpreter would; what it says goes to a file."""
    os.chdir(folder)
    with open(errors, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        runpy.run_path(program, run_name="__main__")


@pytest.fixture(scope="module")
def fresh_process():
    """A function that runs a program in a process of its own, which has imported torch and scikit-learn at most."""
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    )
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(["torch", "pandas", "sklearn.mixture", "skorch"])

    def run(program, folder):
        errors = folder / "errors.txt"
        process = context.Process(target=_run, args=(str(program), folder, errors))
        process.start()
        process.join()
        assert process.exitcode == 0, errors.read_text(encoding="utf-8")

    return run


@pytest.mark.parametrize("page", [page for page in GUIDE if list(blocks(page, "python"))], ids=lambda page: page.stem)
def test_python_blocks_run(page, tmp_path, fresh_process):
    """In order, as a reader would paste them."""
    program = ""
    for line, text in blocks(page, "python"):
        program += "\n" * (line - program.count("\n")) + text  # whose lines are those of the page
    file = tmp_path / f"{page.stem}.py"
    file.write_text(program, encoding="utf-8")
    fresh_process(file, tmp_path)


def sections(page):
    """Return the Python of a page by its headings: one program each, whose lines are those of the page."""
    headings = [(0, page.stem)]
    lines = page.read_text(encoding="utf-8").splitlines()
    headings += [(number, line[3:]) for number, line in enumerate(lines) if line.startswith("## ")]
    programs = {}
    for line, text in blocks(page, "python"):
        title = max(heading for heading in headings if heading[0] <= line)[1]
        begun = programs.get(title, "")
        programs[title] = begun + "\n" * (line - begun.count("\n")) + text
    return programs


@pytest.mark.parametrize("title", sections(README))
def test_a_section_of_the_readme_runs_as_pasted(title, tmp_path, fresh_process):
    """With no names from above."""
    file = tmp_path / f"{title}.py"
    file.write_text(sections(README)[title], encoding="utf-8")
    fresh_process(file, tmp_path)


def test_the_readme_has_two_commands():
    commands = [text.strip() for _, text in blocks(README, "bash")]
    assert commands == ['pip install -c constraints.txt ".[plot,tables]" && python -m sklae', TEST_COMMAND]


def test_the_continuous_integration_runs_the_second_command():
    assert f"({TEST_COMMAND})\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
