"""What pages say of the checkout is so: extras and versions, names of tests and scripts, figures that were measured."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/guide/*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the versions' table calls packages whose names differ.
CALLED = {"pytorch": "torch"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def rows(name, heading):
    """Return the cells of the table below a heading, by the first of them."""
    section = read(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    return {first: others for first, *others in cells[2:]}


def test_every_extra_is_told_of():
    assert {name.strip("`") for name in rows("docs/install.md", "Extras")} == set(PROJECT["optional-dependencies"])


def test_versions_are_those_that_are_declared_and_pinned():
    extras = [line for name in ("plot", "tables") for line in PROJECT["optional-dependencies"][name]]
    least = dict(line.split(">=") for line in [*PROJECT["dependencies"], *extras])
    pinned = dict(line.split("==") for line in read("constraints.txt").splitlines() if "==" in line)
    told = {name.split(",")[0].lower(): versions for name, versions in rows("docs/install.md", "Versions").items()}
    python = told.pop("python")
    assert f">={python[0]}" == PROJECT["requires-python"]
    told = {CALLED.get(name, name): versions for name, versions in told.items()}
    assert told == {name: [version, pinned[name]] for name, version in least.items()}


def test_the_maths_names_tests_that_there_are():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("docs/maths.md"))
    assert len(named) > 30
    for file, function in named:
        assert re.search(rf"^def {function}\(", read(file), flags=re.MULTILINE), (file, function)


def test_the_comparison_names_scripts_that_there_are():
    families = "|".join(path.name for path in (ROOT / "benchmarks").iterdir() if path.is_dir())
    named = set(re.findall(rf"`((?:{families})\.\w+)", read("docs/comparison.md")))
    assert len(named) > 5
    for script in named:
        assert (ROOT / "benchmarks" / f"{script.replace('.', '/')}.py").exists(), script


@pytest.mark.parametrize("name", ["docs/comparison.md", "docs/index.md", "README.md"])
def test_figures_are_those_that_were_measured(name):
    """Shares of three digits, in tables: each is among the benchmarks' results, or in the guide."""
    known = read("benchmarks/RESULTS.md")
    known += "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/guide/*.md"))
    tables = [line for line in read(name).splitlines() if line.startswith("|")]
    figures = {figure for line in tables for figure in re.findall(r"(?<!\d)\.\d{3}(?!\d)", line)}
    assert figures
    assert not figures - set(re.findall(r"(?<!\d)\.\d{3}(?!\d)", known))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_is_not_cut(page):
    """At 1,200 pixels: pages of the guide have a side bar on either hand, others on the right alone."""
    seen = 88 if page.parent.name == "guide" else 100
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:python|py|bash|text)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert not [line for block in blocks for line in block.splitlines() if len(line) > seen]


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("categorical", "guide/tables.md"),
        ("convolution", "guide/images.md"),
        ("gpu", "guide/gpu.md"),
        ("learning rate", "guide/training.md"),
        ("mixed types", "guide/tables.md"),
        ("mixed precision", "guide/gpu.md"),
        ("save model", "guide/saving.md"),
    ],
)
def test_a_search_finds_the_page(query, page):
    """A search asks for all words of the query, by their beginnings."""
    words = re.findall(r"\w+", read(f"docs/{page}").lower())
    for asked in query.split():
        assert any(word.startswith(asked) for word in words), asked


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "guide" and page.stem != "index"])
def test_every_page_of_the_guide_has_a_picture(page):
    """It is there, small, and told in words to those who do not see it."""
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert pictures
    for alt, target in pictures:
        assert len(alt) > 20
        assert (page.parent / target).stat().st_size < 80_000
