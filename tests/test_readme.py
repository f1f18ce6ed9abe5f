"""The README and the guide do what they say: their Python blocks run, and so does the README's second command."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/guide/*.md")])
TEST_COMMAND = 'pip install -c constraints.txt -e ".[test]" && python -m pytest'


def blocks(page, language):
    """Yield (line number, text) of a page's fenced blocks in one language."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield text[: match.start(1)].count("\n"), match[1]


@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks(page, "python"))], ids=lambda page: page.stem)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for line, text in blocks(page, "python"):
        # the padding makes tracebacks point into the page
        exec(compile("\n" * line + text, str(page), "exec"), namespace)


def test_the_readme_has_two_commands():
    commands = [text.strip() for _, text in blocks(ROOT / "README.md", "bash")]
    assert commands == ['pip install -c constraints.txt ".[plot,tables]" && python -m sklae', TEST_COMMAND]


def test_the_continuous_integration_runs_the_second_command():
    assert f"({TEST_COMMAND})\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
