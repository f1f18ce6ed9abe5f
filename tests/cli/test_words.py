"""Users' own text where it is shown: it stays text."""

import contextlib
import csv
import io
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sklae._cli.main import main
from sklae._cli.words import for_sheets, shown, unique

ESC, OVERRIDE = "\x1b[2J", "\u202e"

#: Text, and what is shown of it.
SHOWN = {
    "plain": ("height [cm]", "height [cm]"),
    "accents": ("größe 高さ", "größe 高さ"),
    "joined": ("क्\u200dष", "क्\u200dष"),
    "a no-break space": ("a\u00a0b", "a\u00a0b"),
    "line ends": ("a\nb\r\nc\u2028d\x85e", r"a\nb\r\nc\u2028d\x85e"),
    "a tab": ("\tx", r"\tx"),
    "escapes": ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
    "C1 control": ("\x9b31m", r"\x9b31m"),
    "directions": ("a\u202eb\u2066c\u200fd", r"a\u202eb\u2066c\u200fd"),
    "invisible": ("\ufeffa\u200bb\u00ad", r"\ufeffa\u200bb\xad"),
    "no UTF-8": ("a\udcff", r"a\udcff"),
    "NUL": ("a\0b", r"a\x00b"),
    "long": ("a" * 60 + "b" * 60, "a" * 53 + "..." + "b" * 26),
    "no text": (7.5, "7.5"),
}


@pytest.mark.parametrize("case", SHOWN)
def test_text_is_shown_in_one_harmless_line(case):
    text, words = SHOWN[case]
    assert shown(text) == words


@given(st.text())
def test_whatever_is_shown_is_a_short_line(text):
    line = shown(text)
    line.encode("utf-8")
    assert len(line.splitlines()) <= 1
    assert len(line) <= 10 * 82
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)
    assert shown(line, 10**4) == line


#: A cell, and what a file has of it.
CELLS = {
    "a formula": ("=1+1", "'=1+1"),
    "plus": ("+49 30", "'+49 30"),
    "at": ("@SUM(A1)", "'@SUM(A1)"),
    "minus": ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
    "wide": ("\uff1d1", "'\uff1d1"),
    "after blanks": (" \u00a0=1", " \u00a0'=1"),
    "after another separator": ("a;=1,+2", "a;'=1,'+2"),
    "after a quotation mark": ('a;"=1"', 'a;"\'=1"'),
    "a negative number": ("-3.5", "-3.5"),
    "a small one": ("-1e-05", "-1e-05"),
    "a dash": ("-", "'-"),
    "words": ("a = -3, expected about -2 to 5", "a = -3, expected about -2 to 5"),
    "an address": ("me@home", "me@home"),
}


@pytest.mark.parametrize("case", CELLS)
def test_cells_are_no_formulas(case):
    text, written = CELLS[case]
    assert for_sheets(text) == written


@given(st.text("=+-@;,| \"'\t1a.\uff1d"))
@example("x;=1")
def test_no_separator_makes_a_formula_of_a_cell(text):
    file = io.StringIO()
    csv.writer(file).writerow([0, for_sheets(shown(text)), 1])
    for separator in ",;|":
        for row in csv.reader(io.StringIO(file.getvalue()), delimiter=separator):
            for cell in row:
                assert cell.strip(" \"'") == "" or re.match(r"\s*([^=+@\-\uff1d]|-[\d.]+$)", cell.strip('"')), cell


def test_equal_names_are_numbered():
    assert unique(["a", "b", "a", "a.1", "a"]) == ["a", "b", "a.1", "a.1.1", "a.2"]


HOSTILE = [f"{ESC}red", "line\nend", f"{OVERRIDE}txt", "=1+1", "<script>alert(1)</script>", "long" * 10**5, "\ttab"]


def test_hostile_names_and_cells_stay_text(run):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, len(HOSTILE))), columns=HOSTILE)
    for row in range(len(HOSTILE)):
        X.iloc[row, row] = 100.0
    levels = np.array(["u", "v"], dtype=object)[rng.randint(2, size=60)]
    levels[10 : 10 + len(HOSTILE)] = [f"{name} " for name in HOSTILE]
    cells = [f"{HOSTILE[i % len(HOSTILE)]}{i}" for i in range(60)]
    X = X.assign(**{"@level": levels, "=cell": cells, "score": range(60)})
    status, said, out = run(X, "--contamination", "0.3", name="table.parquet")
    assert (status, said.err) == (0, "")
    page, scores = (out / "report.html").read_text("utf-8"), (out / "scores.csv").read_text("utf-8")
    for text in (said.out, page, scores):
        assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert len(text) < 3e5
    for text in (page, scores):
        for words in (r"\x1b[2Jred = 100", r"line\nend = 100", r"\u202etxt = 100", "longl...nglong"):
            assert words in text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; = 100" in page

    lines = pd.read_csv(out / "scores.csv", dtype=str, keep_default_na=False)
    own = ["score", "decision", "outlier", "p_value", "reasons"]
    assert list(lines.columns) == ["row", "'=cell", "score.1", *own]
    assert lines["score.1"].tolist() == [str(i) for i in range(60)]
    assert lines["'=cell"][3] == "'=1+13"
    for cell in lines.to_numpy().ravel():
        assert cell[:1] not in tuple("=+@\t\r")
        assert cell[:1] != "-" or float(cell) < 0


def test_names_of_files_and_options_are_shown_as_text(tmp_path, capsys):
    for arguments in ([f"{tmp_path}/a{ESC}\n{OVERRIDE}.csv"], [f"--x{ESC}"], ["--out", f"{__file__}/{ESC}"]):
        assert main([*arguments, *([] if "--out" in arguments else ["--out", str(tmp_path / "report")])]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert ESC not in said.err
        assert OVERRIDE not in said.err


def test_warnings_are_lines_of_text(run, monkeypatch):
    def warn(*_, **__):
        warnings.warn(f"what of {ESC}\n{OVERRIDE}?", UserWarning, stacklevel=1)
        raise ValueError(f"no {ESC}")

    monkeypatch.setattr("sklae._cli.main.inspect", warn)
    shows = warnings.showwarning
    status, said, _ = run("a,b\n1,2\n2,5\n4,3\n")
    assert (status, said.err) == (2, "sklae: what of \\x1b[2J \\u202e?\nsklae: no \\x1b[2J\n")
    assert warnings.showwarning is shows


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and text[0] != "-"))
def test_a_refusal_is_one_line(name):
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
        assert main([name, "--out", "report"]) == 2
    assert "no file" in error.getvalue()
    assert len(error.getvalue().splitlines()) == error.getvalue().count("\n") == 1
