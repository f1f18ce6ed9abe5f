"""Words of a user's own (names of columns, cells, paths) made harmless wherever they are shown, and refusals."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Refusal", "for_sheets", "listed", "shown", "unique"]

# Characters of a name or a cell that are shown; of longer ones the beginning and the end.
_LONGEST = 80
_N_LISTED = 20
# The two joiners belong to words of Persian and Hindi, and to emoji.
_JOINERS = "\u200c\u200d"
# What starts a formula in spreadsheets, its wide forms included, at the start of a cell, or of what becomes one where
# another separator is expected.
_FORMULA = re.compile(rf"(^|[;,|\t])([\s\"'{_JOINERS}]*)([=+\-@\uff1d\uff0b\uff0d\uff20])")
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Refusal(Exception):  # noqa: N818 - not a failure of the program
    """Something the user can mend: told in one line, exit status 2."""


def shown(text: Any, longest: int = _LONGEST) -> str:
    r"""Return text in one line of characters that do nothing: not to a terminal, not to the text around them.

    Parameters
    ----------
    text : object
        Its `str` is shown.
    longest : int, default=80
        Of longer text the beginning and the end are left.

    Returns
    -------
    text : str
        With escapes (``\x1b``, ``\n``, ``\u202e``) for control characters, line ends and directions of writing.
    """
    text = str(text)
    if len(text) > longest:
        text = f"{text[: 2 * longest // 3]}...{text[-(longest // 3) :]}"
    return "".join(each if _is_harmless(each) else each.encode("unicode_escape").decode() for each in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def listed(names: Sequence[str]) -> str:
    """Return names, as many as a line can hold."""
    more = f" and {len(names) - _N_LISTED} more" if len(names) > _N_LISTED else ""
    return ", ".join(names[:_N_LISTED]) + more


def unique(names: Iterable[str]) -> list[str]:
    """Return the names, with a number behind those that were there before, as pandas has it: a, a.1, a.2."""
    taken: dict[str, None] = {}
    n_same: defaultdict[str, int] = defaultdict(int)
    for name in names:
        own = name
        while own in taken:
            n_same[name] += 1
            own = f"{name}.{n_same[name]}"
        taken[own] = None
    return list(taken)


def for_sheets(text: str) -> str:
    """Return the text of a cell that no spreadsheet takes for a formula: an apostrophe stands before what begins one.

    Negative numbers stay numbers.
    """
    return text if _NEGATIVE.fullmatch(text) else _FORMULA.sub(r"\1\2'\3", text)
