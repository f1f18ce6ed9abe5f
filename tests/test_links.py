"""Links of the pages: those inside lead somewhere, those outside are well-formed.

Whether the outer ones answer is asked of the network by Sphinx's linkcheck builder, which CONTRIBUTING.md has the
command of.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("guide/*.md")])
SOURCES = sorted([*(ROOT / "sklae").rglob("*.py"), *DOCS.glob("examples/*.py")])
FENCED = re.compile(r"^(```+|:::+).*?^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^][]*\]\(([^)\s]+)\)")


def text_of(page):
    """Return a page without its code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#{1,3} (.+)$", text_of(page), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def source_of(target):
    """Return the file that a page of the gallery or of the index of it is made from; others are themselves."""
    if target.parent.name == "auto_examples":
        examples = DOCS / "examples"
        return examples / "GALLERY_HEADER.rst" if target.stem == "index" else examples / f"{target.stem}.py"
    return target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_inner_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(text_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = source_of((page.parent / name).resolve()) if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_anchors_are_as_github_makes_them(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Why is `X` NaN?\n\n```python\n# no heading\n```\n\n## [A link](b.md), and more\n", encoding="utf-8"
    )
    assert anchors(page) == {"why-is-x-nan", "a-link-and-more"}


def outer(path):
    """Return the addresses in a file."""
    return re.findall(r"https?://[^\s)>\"'`\]]+", path.read_text(encoding="utf-8"))


def test_outer_links_are_well_formed():
    addresses = {address.rstrip(".,;:") for path in [*PAGES, *SOURCES] for address in outer(path)}
    assert len(addresses) > 40
    for address in addresses:
        assert re.match(r"https://[\w.-]+\.[a-z]{2,}(/|$)", address) or "localhost" in address, address
        if "github.com/" in address and re.search(r"/(issues|pull)\b", address):
            assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", address), address
        if "doi.org" in address:
            assert re.fullmatch(r"https://doi\.org/10\.\d{4,9}/\S+", address), address
        if "arxiv.org" in address:
            assert re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}", address), address


def test_papers_have_numbers_of_arxiv():
    """Four digits for year and month, and five more, four before 2015; each mention of arXiv is of one."""
    for path in [*PAGES, *SOURCES]:
        text = path.read_text(encoding="utf-8")
        numbers = re.findall(r"arXiv[\s:]+(\d[\w.]*\w)", text)
        for number in numbers:
            assert re.fullmatch(r"\d\d(0[1-9]|1[0-2])\.\d{4,5}", number), (path, number)
            assert len(number.partition(".")[2]) == (5 if int(number[:2]) >= 15 else 4), (path, number)
        assert len(re.findall(r"\barXiv\b", text)) == len(numbers), f"{path}: arXiv without a number"
