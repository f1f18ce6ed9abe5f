"""The reference has a page for every public class and function, under a short name, and pictures that there are."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import sklae

DOCS = Path(__file__).parents[1] / "docs"
FAMILIES = sorted((DOCS / "api").glob("*.rst"))


def listed(page):
    """Return the full names that a page's tables list."""
    module, names = None, set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.fullmatch(r"   (\w+)", line):
            names.add(f"{module}.{found[1]}")
    return names


def test_every_public_class_and_function_has_a_page():
    there = set().union(*map(listed, FAMILIES))
    public = set()
    for name in ["sklae", *(f"sklae.{each}" for each in sklae._SUBMODULES)]:
        module = importlib.import_module(name)
        described = [each for each in module.__all__ if callable(getattr(module, each))]
        public |= {f"{name}.{each}" for each in described if not isinstance(getattr(module, each), type({}))}
    elsewhere = {"sklae.critics.LatentCritic", "sklae.divergences.LatentCritic"}  # one class, on one page
    assert public - there <= elsewhere
    # and of what is handed out otherwise, an imputer's account
    assert there - public == {"sklae._imputation.account.Account"}


@pytest.mark.parametrize("page", FAMILIES, ids=lambda page: page.stem)
def test_tables_have_a_template_with_short_names(page):
    """Sphinx's own templates have full names for headings, which side bars show."""
    tables = page.read_text(encoding="utf-8").split(".. autosummary::")[1:]
    assert tables
    for table in tables:
        (template,) = re.findall(r":template: (\w+\.rst)", table)
        assert (
            (DOCS / "_templates" / template).read_text(encoding="utf-8").startswith("{{ name | escape | underline }}")
        )


def test_every_family_is_in_the_hub():
    hub = (DOCS / "api.rst").read_text(encoding="utf-8")
    for page in FAMILIES:
        assert hub.count(f"api/{page.stem}") == 2, page  # told of, and in the tree


def test_displays_show_pictures_that_there_are():
    spaces = {}
    text = (DOCS / "conf.py").read_text(encoding="utf-8")
    exec(re.search(r"^autosummary_context = \{.*?^\}$", text, re.MULTILINE | re.DOTALL)[0], spaces)
    pictures = spaces["autosummary_context"]["pictures"]
    drawing = {name for name in sklae.plotting.__all__ if inspect.isfunction(getattr(sklae.plotting, name))}
    drawing |= {name for name in sklae.plotting.__all__ if name.endswith("Display")}
    assert set(pictures) == drawing
    named = {name for shown in pictures.values() for name in shown}
    assert named <= {path.stem for path in (DOCS / "images" / "pictures").glob("*.png")}
