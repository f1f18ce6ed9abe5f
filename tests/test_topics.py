"""The page of topics names examples that there are, and all of them; each topic is short."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
ROW = re.compile(r"^\| [^|]+ \| .+ \| (?P<lines>\d+) \| \[[^]]+\]\((?P<page>[^)]+)\) \|$", re.MULTILINE)


def rows():
    return list(ROW.finditer((DOCS / "topics.md").read_text(encoding="utf-8")))


def test_every_line_of_the_table_is_a_topic():
    lines = (DOCS / "topics.md").read_text(encoding="utf-8").splitlines()
    assert len(rows()) == sum(line.startswith("| ") for line in lines) - 1  # the heading
    assert max(int(row["lines"]) for row in rows()) <= 10


def test_topics_and_examples_name_each_other():
    named = {row["page"] for row in rows() if row["page"].startswith("auto_examples/")}
    there = {f"auto_examples/{path.stem}.rst" for path in (DOCS / "examples").glob("plot_*.py")}
    assert named == there
    others = {row["page"] for row in rows()} - named
    assert all((DOCS / page.partition("#")[0]).exists() for page in others)
