"""The command line: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from support import make_table

import sklae
from sklae._cli.demo_tables import TABLES
from sklae._cli.findings import Findings
from sklae._cli.folder import ReportFolder
from sklae._cli.main import demonstrate, main
from sklae._cli.reasons import Habits, Table, reasons
from sklae._cli.report import REPORT_FILES

N_ROWS, PLANTED = 400, 17
NAMES = ["height", "<b>bold</b> & more", "depth", *(f"sensor {i}" for i in range(3, 30))]


@pytest.fixture
def frame() -> pd.DataFrame:
    """A table whose row 17 breaks the relation between its columns in one of them."""
    X = make_table(N_ROWS, len(NAMES))
    X[PLANTED, 1] += 4 * X[:, 1].std()
    return pd.DataFrame(X, columns=NAMES)


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _png_size(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def _assert_refused(status, said, out, *words):
    assert status == 2
    assert said.err.count("\n") == 1
    assert said.err.startswith("sklae: ")
    for word in words:
        assert word in said.err
    assert not out.exists()
    assert not list(out.parent.glob(".sklae*"))


# -- a table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_planted_outlier_comes_first_with_its_column(run, frame, name):
    status, said, out = run(frame, name=name)
    assert (status, said.err) == (0, "")
    assert "400 rows, 30 numeric columns" in said.out
    lines = _lines(out / "scores.csv")
    assert [line["row"] for line in lines] == [str(row) for row in range(N_ROWS)]
    strangest = min(lines, key=lambda line: float(line["score"]))
    assert strangest["row"] == str(PLANTED)
    assert strangest["outlier"] == "1"
    name, value, low, high = _read_reason(strangest["reasons"].split("; ")[0])
    assert name == NAMES[1]
    assert value == pytest.approx(frame.iloc[PLANTED, 1], abs=0.05 * frame.iloc[:, 1].std())
    assert low < high < value - frame.iloc[:, 1].std()
    first_row = said.out.split("where it is strange\n")[1].split()
    assert first_row[0] == str(PLANTED)


def _read_reason(reason: str) -> tuple[str, float, float, float]:
    """Return column, value and range of a reason that has one."""
    name, *numbers = re.fullmatch(r"(.+) = (\S+), expected about (\S+?)(?: to (\S+))?", reason).groups()
    value, low, high = (float(text.replace(",", "")) for text in [*numbers[:2], numbers[2] or numbers[1]])
    return name, value, low, high


def _values(out: Path, column: str) -> list[float]:
    return [float(line[column]) for line in _lines(out / "scores.csv")]


def test_scores_are_those_of_the_detector(run, frame):
    _, _, out = run(frame)
    X = frame.to_numpy()
    detector = sklae.AEOutlierDetector(random_state=0).fit(X)
    np.testing.assert_array_equal(_values(out, "score"), detector.score_samples(X))
    np.testing.assert_array_equal(_values(out, "decision"), detector.decision_function(X))
    np.testing.assert_array_equal(1 - 2 * np.array(_values(out, "outlier")), detector.predict(X))


def test_p_values_are_those_of_the_detector_and_of_the_scores_beside_them(run, frame):
    _, said, out = run(frame)
    X = frame.to_numpy()
    detector = sklae.AEOutlierDetector(random_state=0).fit(X)
    np.testing.assert_allclose(_values(out, "p_value"), detector.p_values(X), rtol=1e-12)
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in (said.out, page):
        assert f"how many of the {len(X)} rows have a score at least as low, the row itself counted, over 401" in text
        assert "none is below 0.0025." in text
        assert "from one fit, each row judged as if it had been left out" in text
    # counted again from the scores that are in the file, and shown beside them in the ranking
    scores, p_values = np.array(_values(out, "score")), np.array(_values(out, "p_value"))
    counted = (scores[None] <= scores[:, None]).sum(axis=1) / (N_ROWS + 1)
    np.testing.assert_allclose(p_values, counted, rtol=1e-12)
    ranked = [line.split() for line in said.out.split("where it is strange\n")[1].splitlines()]
    ranked = [words for words in ranked if words and words[0].isdigit()]
    assert len(ranked) == 5
    for row, score, p_value, *_ in ranked:
        assert float(score) == pytest.approx(scores[int(row)], abs=0.005)
        assert float(p_value) == pytest.approx(p_values[int(row)], rel=0.05)


def test_p_values_count_a_row_once_where_a_detector_keeps_a_sample():
    """It recognises none of the others, but they are among the rows that it compares with."""
    X = make_table(300, 4)
    detector = sklae.AEOutlierDetector(max_samples=100, random_state=0).fit(X)
    found = Findings(detector, X, range(300), {}, detector.training_scores_, [[] for _ in X], 0.0)
    np.testing.assert_allclose(np.sort(found.p_values), np.arange(1, 301) / 301)
    assert found.p_values.min() == pytest.approx(detector.min_p_value_)
    np.testing.assert_array_equal(found.scores, detector.score_samples(X))  # one model


def test_few_rows_have_no_p_values(run, frame):
    status, said, out = run(frame[:49])
    assert status == 0
    assert "p-value" not in said.out.lower()
    assert "p-value" not in (out / "report.html").read_text(encoding="utf-8").lower()
    assert {line["p_value"] for line in _lines(out / "scores.csv")} == {""}
    run(frame[:50], "--overwrite")
    assert min(_values(out, "p_value")) >= 1 / 51


def test_rows_that_were_not_trusted_are_counted(run):
    X = make_table(200, 6)
    alike = np.abs(X).max() * 3 + np.random.RandomState(0).normal(size=(20, 6))
    table = pd.DataFrame(np.vstack([X, alike]), columns=list("abcdef"))
    detector = sklae.AEOutlierDetector(random_state=0).fit(table.to_numpy())
    assert len(detector.left_out_) >= 20
    _, said, out = run(table)
    words = f"{len(detector.left_out_)} rows ("
    assert words in said.out
    assert words in (out / "report.html").read_text(encoding="utf-8")
    _, said, _ = run(pd.DataFrame(np.random.RandomState(0).normal(size=(60, 2)), columns=["a", "b"]), "--overwrite")
    assert "All rows are trusted" in said.out


def test_the_report_stands_alone_and_escapes_names(run, frame):
    _, _, out = run(frame.assign(größe=[f"text {i}" for i in range(N_ROWS)]))
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page
    assert "<b>" not in page
    assert "größe" in page
    assert set(re.findall(r'src="([^"]{22})', page)) == {"data:image/png;base64,"}
    assert page.count("<img") == 2
    assert "http" not in page
    for name in ("score_histogram.png", "explanation.png"):
        width, height = _png_size((out / name).read_bytes())
        assert 500 <= width <= 2000
        assert 300 <= height <= 1500


def test_contamination_sets_the_share_of_outliers(run, frame):
    _, said, out = run(frame, "--contamination", "0.1")
    assert sum(int(line["outlier"]) for line in _lines(out / "scores.csv")) == 40
    assert "40 of 400 rows are outliers" in said.out


def test_dropped_unusable_and_empty_columns_are_left_out_and_named(run, frame):
    names = [f"name {i}" for i in range(N_ROWS)]
    names[7] = names[8]
    frame = frame.assign(name=names, when=pd.Timestamp("2024-01-01"), nothing=np.nan, flag=frame["depth"] > 0)
    status, said, out = run(frame, "--drop", NAMES[1], "--drop", "height", name="table.parquet")
    assert status == 0
    assert "400 rows, 28 numeric columns and 1 of categories" in said.out
    assert "neither numbers nor categories: name, when." in said.out
    assert "every value is missing: nothing." in said.out
    assert "bold" not in (out / "scores.csv").read_text(encoding="utf-8")
    assert "every value is missing: nothing." in (out / "report.html").read_text(encoding="utf-8")


def test_gaps_constant_columns_and_nullable_numbers_are_fine(run, frame):
    frame["constant"] = 3
    frame["count"] = pd.array([1, None] * (N_ROWS // 2), dtype="Int64")
    frame.iloc[5, :29] = np.nan
    frame.iloc[6, 2], frame.iloc[6, 3] = np.nan, 1e4
    status, _, out = run(frame, name="table.parquet")
    assert status == 0
    lines = _lines(out / "scores.csv")
    assert all(np.isfinite(float(line["score"])) for line in lines)
    assert not any("constant" in line["reasons"] for line in lines)
    assert "depth" not in lines[5]["reasons"] + lines[6]["reasons"]
    assert lines[6]["reasons"].startswith("sensor 3 = 10,000, expected about ")


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_wrong_level_is_told_with_the_one_expected(run, name):
    """The site says how warm it is, but for row 17."""
    rng = np.random.RandomState(0)
    sites = np.array(["north", "south", "east", "west"])
    code = rng.randint(4, size=300)
    site = sites[code].astype(object)
    is_south = code == 1
    site[[PLANTED, 40]] = sites[3 - code[PLANTED]], None
    warmth = 10 * code + rng.normal(size=300)
    table = pd.DataFrame({"site": site, "warmth": warmth, "cost": 5 - warmth + rng.normal(size=300), "far": is_south})
    status, said, out = run(table, name=name)
    assert (status, said.err) == (0, "")
    assert "300 rows, 2 numeric columns and 2 of categories" in said.out
    lines = _lines(out / "scores.csv")
    assert min(lines, key=lambda line: float(line["score"]))["row"] == str(PLANTED)
    assert lines[PLANTED]["reasons"].startswith(f"site = {site[PLANTED]}, expected {sites[code[PLANTED]]}")
    assert all(np.isfinite(float(line["score"])) for line in lines)
    assert "site" not in lines[40]["reasons"]


def test_semicolons_and_decimal_commas_are_read(run, frame, tmp_path):
    text = frame.to_csv(index=False, sep=";", decimal=",")
    status, said, out = run(text)
    assert status == 0
    assert "400 rows, 30 numeric columns" in said.out
    assert min(_lines(out / "scores.csv"), key=lambda line: float(line["score"]))["row"] == str(PLANTED)


def test_without_matplotlib_all_but_the_pictures_is_written(run, frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    status, said, out = run(frame)
    assert status == 0
    assert said.out.count("No pictures") == 1
    assert "sklae[plot]" in said.out
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "scores.csv"]


# -- reasons --------------------------------------------------------------------------------------------


@pytest.fixture
def measured():
    """Return a table with an impossible value, whole numbers and shares, its names, and a fitted detector."""
    rng = np.random.RandomState(0)
    age = rng.randint(20, 70, 300).astype(float)
    gain = np.round(rng.exponential(2000, 300) * (rng.uniform(size=300) < 0.2))
    share = np.round(np.clip(age / 100 + rng.normal(0, 0.05, 300), 0, 1), 3)
    X = np.column_stack([age, gain, share, 100 * age + rng.normal(size=300)])
    X[7, 1] = 99_999.0
    X[8, 2] = np.nan
    return X, ["age", "gain", "share", "cost"], sklae.AEOutlierDetector(random_state=0).fit(X)


def test_a_planted_99_999_is_named_first_with_a_range_that_excludes_it(measured):
    X, names, detector = measured
    scores = detector.score_samples(X)
    why = reasons(detector, X, names, scores)
    assert np.argmin(scores) == 7
    name, value, low, high = _read_reason(why[7][0])
    assert why[7][0].startswith("gain = 99,999, expected about ")
    assert (name, value) == ("gain", 99_999.0)
    assert 0 <= low <= high < 20_000


def test_only_strange_rows_are_explained(measured):
    X, names, detector = measured
    scores = detector.score_samples(X)
    said = np.array([bool(why) for why in reasons(detector, X, names, scores, n_listed=3)])
    strange = scores <= max(detector.offset_, np.sort(scores)[2])
    np.testing.assert_array_equal(said, strange)


@pytest.mark.parametrize("method", ["repair", "additive"])
def test_nine_of_ten_ordinary_cells_are_in_their_range(measured, method):
    X, _, detector = measured
    ordinary = np.setdiff1d(np.arange(300), [7])
    habits = Habits.of(Table(detector, X), ordinary, method)
    _, expected = detector.explain(X[ordinary], method=method, return_expected=True)
    low, high = habits.ranges(expected.to_numpy())
    known = ~np.isnan(X[ordinary])
    inside = (X[ordinary] >= low) & (X[ordinary] <= high)
    shares = inside.sum(axis=0) / known.sum(axis=0)
    assert (shares > 0.85).all(), shares
    assert (shares[1:] < 0.98).all(), shares  # ages are known to less than a year, and rounded to years
    least, most = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    meets = (low <= most) & (high >= least)
    assert meets.mean() > 0.9
    assert ((low >= least) & (high <= most))[meets].all()
    assert (low[:, :2] == np.round(low[:, :2])).all()  # whole numbers


def _habits(*, width=2.0, least=0.0, most=1e6, is_whole=False) -> Habits:
    """Return habits of one column."""
    numbers = [np.array([x]) for x in (-width / 2, width / 2, least, most)]
    return Habits(*numbers, np.array([is_whole]))


#: Habits, value, what is expected, and what is said.
SAID = {
    "large": ({"width": 6_000, "is_whole": True}, 99_999, 2_912.0, "x = 99,999, expected about 0 to 5,900"),
    "small": ({"width": 0.0213}, 0.346, 0.0411, "x = 0.346, expected about 0.03 to 0.052"),
    "a year": ({"width": 10, "is_whole": True}, 2017, 2003.2, "x = 2017, expected about 1998 to 2008"),
    "a flag": ({"width": 0.1, "most": 1.0, "is_whole": True}, 1, 0.02, "x = 1, expected about 0"),
    "beyond the column": ({"least": 5.0}, 6.5, 1.0, "x = 6.5, expected about 0 to 2"),
    "no width": ({"width": 0.0}, 6.5, 1.0, "x = 6.5, expected about 1"),
    "a gigantic one": ({"width": 6e18}, 6e20, 4e18, "x = 6e+20, expected about 1e+18 to 7e+18"),
    "as expected": ({}, 1.5, 1.0, "unusual: x = 1.5"),
    "within a range's rounding": ({"width": 0.79}, 0.078, 0.475, "unusual: x = 0.078"),
    "almost as expected": ({}, 2.001, 1.0, "unusual: x = 2"),
    "a gap": ({}, np.nan, 1.0, ""),
}


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [(0.0, 2.0, "x = cook, expected 7.5"), (1.0, 1.0, "unusual: x = <b>"), (np.nan, 1.0, "")],
)
def test_levels_in_words(code, expected, words):
    habits = dataclasses.replace(_habits(width=0.0, most=2.0, is_whole=True), levels={0: ["cook", "<b>", 7.5]})
    told = habits.told(["x"], np.array([[code]]), np.array([[0.0 if np.isnan(code) else 3.0]]), np.array([[expected]]))
    assert "; ".join(next(told)) == words


@pytest.mark.parametrize("case", SAID)
def test_reasons_in_words(case):
    settings, value, expected, words = SAID[case]
    terms = np.array([[0.0 if np.isnan(value) else 3.0]])
    told = _habits(**settings).told(["x"], np.array([[value]]), terms, np.array([[expected]]))
    assert "; ".join(next(told)) == words


def test_cells_that_are_as_expected_are_named_together():
    one = _habits()
    both = Habits(*(np.repeat(getattr(one, name), 3) for name in ("below", "above", "least", "most", "is_whole")))
    X = np.array([[1.5, 20_000.0, 3.0]])
    told = both.told(["a", "b", "c"], X, np.array([[1.0, 3.0, 0.2]]), X)
    assert next(told) == ["unusual together: b = 20,000, a = 1.5"]


def test_gaps_of_a_row_whose_cells_are_as_expected_are_counted():
    one = _habits()
    both = Habits(*(np.repeat(getattr(one, name), 3) for name in ("below", "above", "least", "most", "is_whole")))
    X, terms = np.array([[1.5, np.nan, np.nan]]), np.array([[1.0, 0.0, 0.0]])
    assert next(both.told(["a", "b", "c"], X, terms, X)) == ["unusual: a = 1.5; 2 of 3 cells are missing"]


def test_of_wide_tables_few_rows_are_repaired(measured, monkeypatch):
    X, names, detector = measured
    methods = []
    explain = type(detector).explain

    def spy(self, X, *, method, return_expected):
        methods.append((method, len(X)))
        return explain(self, X, method=method, return_expected=return_expected)

    monkeypatch.setattr(type(detector), "explain", spy)
    detector.set_threshold(contamination=0.2)
    scores = detector.score_samples(X)
    monkeypatch.setattr("sklae._cli.reasons._MOST_COST", 25 * 516)
    why = reasons(detector, X, names, scores)
    assert methods == [("repair", 25), ("repair", 25), ("additive", 200), ("additive", 35)]
    assert sum(bool(said) for said in why) == 60
    methods.clear()
    monkeypatch.setattr("sklae._cli.reasons._MOST_COST", 19 * 516)
    reasons(detector, X, names, scores)
    assert methods == [("additive", 200), ("additive", 60)]


# -- refusals -------------------------------------------------------------------------------------------

CONSTANT = "a,b,c\n1,2,x\n1,2,x\n1,2,x\n"
FREE_TEXT = "a,b\n" + "\n".join(f"name {i},text {i}" for i in range(60))
NUMBERS = "a,b\n1,2\n2,3\n4,9\n"

#: What is given, and words of the answer.
REFUSED = {
    "missing file": (None, [], ["no file"]),
    "empty file": ("", [], ["empty file"]),
    "no rows": ("a,b\n", [], ["0 rows"]),
    "one row": ("a,b\n1,2\n", [], ["1 row;", "at least 2"]),
    "free text only": (
        FREE_TEXT,
        [],
        ["without usable columns", "as they number or name the rows, and shown beside them: a, b."],
    ),
    "no values": ("a,b\n,\n,\n", [], ["without usable columns", "every value is missing: a, b."]),
    "constant": (CONSTANT, [], ["constant table", "each of 3 columns"]),
    "infinite": ("a,b\n1,inf\n2,3\n4,9\n", [], ["infinite values in b"]),
    "overflow": ("a,b\n1,1e300\n2,-1e300\n4,9\n", [], ["variance overflows"]),
    "unreadable": ('a,b\n1,2\n3,"4\n5,6\n', [], ["not readable as csv", "EOF inside string"]),
    "no table": (NUMBERS, ["--out", ""], ["Got ''", "expected a path"]),
    "unknown column": (NUMBERS, ["--drop", "c"], ["--drop 'c'", "a, b"]),
    "all dropped": (NUMBERS, ["--drop", "a", "--drop", "b"], ["without usable columns"]),
    "share of 0": (NUMBERS, ["--contamination", "0"], ["Got '0'", "'auto'"]),
    "share above half": (NUMBERS, ["--contamination", "0.6"], ["Got '0.6'"]),
    "share as text": (NUMBERS, ["--contamination", "few"], ["Got 'few'"]),
    "unknown option": (NUMBERS, ["--nope"], ["--nope", "--help"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_line_and_leave_nothing_behind(run, case):
    table, options, words = REFUSED[case]
    _assert_refused(*run(table, *options), *words)


def test_long_lists_of_names_are_cut(run):
    text = ",".join(f"c{i}" for i in range(100)) + "\n" + "\n".join(",".join(["1"] * 100) for _ in range(3))
    _assert_refused(*run(text, "--drop", "x"), "c19 and 80 more")


def test_unknown_suffix_and_broken_parquet_are_refused(run):
    _assert_refused(*run(NUMBERS, name="table.xlsx"), ".parquet")
    _assert_refused(*run("no parquet", name="table.parquet"), "not readable as parquet")


def test_missing_pandas_names_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    _assert_refused(*run(NUMBERS), "sklae[tables]")


def test_the_demonstration_without_pandas_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert main(["--out", str(tmp_path / "report")]) == 2
    assert "sklae[plot,tables]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--drop", "--keep"])
def test_columns_are_named_of_a_table(option, tmp_path, capsys):
    assert main([option, "a", "--out", str(tmp_path / "report")]) == 2
    assert f"{option} without TABLE" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    for word in ("TABLE", "--contamination", "--drop", "--keep", "--out", "--overwrite", "scores.csv", "examples:"):
        assert word in said


def test_exit_status_of_the_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sklae", tmp_path / "absent.csv", "--out", tmp_path / "report"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


# -- the demonstration ----------------------------------------------------------------------------------

DEMO_PICTURES = ["explanation", "latent_grid", "latent_map", "score_histogram"]


def _assert_demonstrated(out: Path, said: str) -> None:
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["report.html", "scores.csv", *(f"{name}.png" for name in DEMO_PICTURES)]
    )
    assert {path.name for path in out.iterdir()} <= set(REPORT_FILES)
    page = (out / "report.html").read_text(encoding="utf-8")
    peers = ["IsolationForest", "LocalOutlierFactor", "KNNImputer", "IterativeImputer", "GaussianMixture", "PCA"]
    for word in [*peers, "FactorAnalysis", "Isomap", "AUROC", "cell found", "text right", "seconds", "p-value"]:
        assert word in said
        assert word in page
    lines = _lines(out / "scores.csv")
    assert len(lines) == 178
    slips = [line for line in lines if line["slip"]]
    assert len(slips) == 9
    n_found = sum(int(line["outlier"]) for line in slips)
    assert f"{n_found} of the 9 slips are among them" in said
    strangest = min(lines, key=lambda line: float(line["score"]))
    assert strangest["slip"].split(",")[0] == strangest["reasons"].split(" = ")[0]  # and its reason is the slip
    for name in DEMO_PICTURES:
        width, height = _png_size((out / f"{name}.png").read_bytes())
        assert width >= 1000
        assert height >= 300
    assert page.count("<img") == 4


def _assert_losses_are_told(said: str) -> None:
    """In a table's text as it was printed: who has the better figure is named below it."""
    for own, header, lower in [
        ("AEOutlierDetector", "AUROC", False),
        ("AEImputer", "error", True),
        ("VAETransformer", "log-likelihood", False),
        ("VAETransformer", "accuracy", False),
    ]:
        block = next(block for block in said.split("\n\n") if f" {header}" in block and own in block)
        figures: dict[str, dict[str, float]] = {}
        for table, method, value in re.findall(r"^  (\S.*?)  +(\S.*?)  +(-?\d+\.\d+)", block, flags=re.MULTILINE):
            figures.setdefault(table, {})[method] = -float(value) if lower else float(value)
        assert figures
        for methods in figures.values():
            for method in methods:
                assert (methods[method] <= methods[own]) or f"{method} is ahead of {own} (" in block


def test_demonstration_in_few_epochs(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(TABLES, "breast cancer")
    open_before = plt.get_fignums()
    demonstrate(ReportFolder(tmp_path / "report"), max_iter=2, n_draws=1)
    assert plt.get_fignums() == open_before
    said = capsys.readouterr().out
    _assert_demonstrated(tmp_path / "report", said)
    _assert_losses_are_told(said)


@pytest.mark.slow
def test_demonstration_as_users_run_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sklae", "--out", tmp_path / "report"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "TkAgg"},  # pictures need no window system, whatever the shell asks for
    )
    assert (done.returncode, done.stderr) == (0, "")
    _assert_demonstrated(tmp_path / "report", done.stdout)
    _assert_losses_are_told(done.stdout)
