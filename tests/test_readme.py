"""The README and the guide do what they say: their Python blocks run, and so does the README's second command."""

import os
import re
import subprocess
import sys
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


@pytest.mark.parametrize("page", [page for page in GUIDE if list(blocks(page, "python"))], ids=lambda page: page.stem)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for line, text in blocks(page, "python"):
        # the padding makes tracebacks point into the page
        exec(compile("\n" * line + text, str(page), "exec"), namespace)


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


def processes(page):
    """Return titles of sections: a process each, but for those that take less time than its import of torch."""
    short = ["Estimators", "Outliers", "Search", "Your own modules", "Your own parts"]
    return [*([title] for title in sections(page) if title not in short), short]


@pytest.mark.parametrize("titles", processes(README), ids=" ".join)
def test_a_section_of_the_readme_runs_as_pasted(titles, tmp_path, monkeypatch):
    """With no names from above, and in a process that has imported nothing for a test."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    files = [tmp_path / f"{title}.py" for title in titles]
    for file, title in zip(files, titles, strict=True):
        file.write_text(sections(README)[title], encoding="utf-8")
    program = "import runpy, sys; [runpy.run_path(file, run_name='__main__') for file in sys.argv[1:]]"
    command = [sys.executable, "-c", program, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_two_commands():
    commands = [text.strip() for _, text in blocks(README, "bash")]
    assert commands == ['pip install -c constraints.txt ".[plot,tables]" && python -m sklae', TEST_COMMAND]


def test_the_continuous_integration_runs_the_second_command():
    assert f"({TEST_COMMAND})\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
