"""The command line: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import csv
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import make_table

import sklae
from sklae.__main__ import demonstrate, main

N_ROWS, PLANTED = 400, 17
NAMES = ["height", "<b>bold</b> & more", "depth", *(f"sensor {i}" for i in range(3, 30))]


@pytest.fixture
def frame() -> pd.DataFrame:
    """A table whose row 17 breaks the relation between its columns in one of them."""
    X = make_table(N_ROWS, len(NAMES))
    X[PLANTED, 1] += 3 * X[:, 1].std()
    return pd.DataFrame(X, columns=NAMES)


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command line on a frame, or on text; return status, what was said, and the folder."""

    def run_on(table, *options, name="table.csv"):
        path = tmp_path / name
        if isinstance(table, str):
            path.write_text(table, encoding="utf-8")
        elif name.endswith("parquet"):
            table.to_parquet(path)
        elif table is not None:
            table.to_csv(path, index=False)
        out = tmp_path / "report"
        status = main([str(path), "--out", str(out), *options])
        return status, capsys.readouterr(), out

    return run_on


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
    value = frame.iloc[PLANTED, 1]
    said_value = re.match(r"<b>bold</b> & more = (\S+), expected about", strangest["reasons"])
    assert float(said_value.group(1)) == pytest.approx(value, abs=0.05 * frame.iloc[:, 1].std())
    first_row = said.out.split("where it is strange\n")[1].split()
    assert first_row[0] == str(PLANTED)


def test_scores_are_those_of_the_detector(run, frame):
    _, _, out = run(frame)
    detector = sklae.AEOutlierDetector(random_state=0).fit(frame.to_numpy())
    lines = _lines(out / "scores.csv")
    X = frame.to_numpy()
    np.testing.assert_array_equal([float(line["score"]) for line in lines], detector.score_samples(X))
    np.testing.assert_array_equal([float(line["decision"]) for line in lines], detector.decision_function(X))
    np.testing.assert_array_equal([1 - 2 * int(line["outlier"]) for line in lines], detector.predict(X))


def test_the_report_stands_alone_and_escapes_names(run, frame):
    _, _, out = run(frame.assign(größe="text"))
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page
    assert "<b>" not in page
    assert "größe" in page
    assert set(re.findall(r'src="([^"]{22})', page)) == {"data:image/png;base64,"}
    assert page.count("<img") == 2
    assert "http" not in page
    for name in ("score_histogram.png", "training_curve.png"):
        width, height = _png_size((out / name).read_bytes())
        assert 500 <= width <= 2000
        assert 300 <= height <= 1500


def test_contamination_sets_the_share_of_outliers(run, frame):
    _, said, out = run(frame, "--contamination", "0.1")
    assert sum(int(line["outlier"]) for line in _lines(out / "scores.csv")) == 40
    assert "40 of 400 rows are outliers" in said.out


def test_dropped_text_and_empty_columns_are_left_out_and_named(run, frame):
    frame = frame.assign(name="text", when=pd.Timestamp("2024-01-01"), nothing=np.nan, flag=frame["depth"] > 0)
    status, said, out = run(frame, "--drop", NAMES[1], "--drop", "height", name="table.parquet")
    assert status == 0
    assert "400 rows, 29 numeric columns" in said.out
    assert "hold no numbers: name, when." in said.out
    assert "every value is missing: nothing." in said.out
    assert "bold" not in (out / "scores.csv").read_text(encoding="utf-8")
    assert "every value is missing: nothing." in (out / "report.html").read_text(encoding="utf-8")


def test_gaps_constant_columns_and_nullable_numbers_are_fine(run, frame):
    frame["constant"] = 3
    frame["count"] = pd.array([1, None] * (N_ROWS // 2), dtype="Int64")
    frame.iloc[5, :29] = np.nan
    status, _, out = run(frame, name="table.parquet")
    assert status == 0
    lines = _lines(out / "scores.csv")
    assert all(np.isfinite(float(line["score"])) for line in lines)
    assert not any("constant" in line["reasons"] for line in lines)
    assert "depth" not in lines[5]["reasons"]


def test_semicolons_and_decimal_commas_are_read(run, frame, tmp_path):
    text = frame.to_csv(index=False, sep=";", decimal=",")
    status, said, out = run(text)
    assert status == 0
    assert "400 rows, 30 numeric columns" in said.out
    assert min(_lines(out / "scores.csv"), key=lambda line: float(line["score"]))["row"] == str(PLANTED)


def test_an_older_report_is_replaced_and_other_files_stay(run, frame):
    _, _, out = run(frame)
    (out / "mine.txt").write_text("keep")
    before = (out / "scores.csv").read_bytes()
    status, _, _ = run(frame, "--contamination", "0.3")
    assert status == 0
    assert (out / "scores.csv").read_bytes() != before
    assert (out / "mine.txt").read_text() == "keep"


def test_without_matplotlib_all_but_the_pictures_is_written(run, frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, said, out = run(frame)
    assert status == 0
    assert said.out.count("No pictures") == 1
    assert "sklae[plot]" in said.out
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "scores.csv"]


# -- refusals -------------------------------------------------------------------------------------------

CONSTANT = "a,b\n1,2\n1,2\n1,2\n"
NUMBERS = "a,b\n1,2\n2,3\n4,9\n"

#: What is given, and words of the answer.
REFUSED = {
    "missing file": (None, [], ["no file"]),
    "empty file": ("", [], ["empty file"]),
    "no rows": ("a,b\n", [], ["0 rows"]),
    "one row": ("a,b\n1,2\n", [], ["1 rows", "at least 2"]),
    "text only": ("a,b\nx,y\nz,w\n", [], ["without numeric columns", "a, b"]),
    "no values": ("a,b\n,\n,\n", [], ["without numeric columns"]),
    "constant": (CONSTANT, [], ["constant table", "2 numeric columns"]),
    "infinite": ("a,b\n1,inf\n2,3\n4,9\n", [], ["infinite values in b"]),
    "overflow": ("a,b\n1,1e300\n2,-1e300\n4,9\n", [], ["variance overflows"]),
    "unreadable": ('a,b\n1,2\n"3,4\n', [], ["not readable as csv"]),
    "unknown column": (NUMBERS, ["--drop", "c"], ["--drop 'c'", "a, b"]),
    "all dropped": (NUMBERS, ["--drop", "a", "--drop", "b"], ["without numeric columns"]),
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


def test_a_file_in_the_way_is_refused_and_kept(tmp_path, capsys):
    table, out = tmp_path / "table.csv", tmp_path / "report"
    table.write_text(NUMBERS)
    out.write_text("mine")
    assert main([str(table), "--out", str(out)]) == 2
    assert "is a file" in capsys.readouterr().err
    assert main([str(table), "--out", str(out / "below")]) == 2
    assert out.read_text() == "mine"


def test_drop_needs_a_table(tmp_path, capsys):
    assert main(["--drop", "a", "--out", str(tmp_path / "report")]) == 2
    assert "--drop without TABLE" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    for word in ("TABLE", "--contamination", "--drop", "--out", "scores.csv", "examples:"):
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

DEMO_PICTURES = ["generated_digits", "latent_map", "reconstructions", "score_histogram", "training_curve"]


def _assert_demonstrated(out: Path, said: str) -> None:
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["report.html", "scores.csv", *(f"{name}.png" for name in DEMO_PICTURES)]
    )
    for word in ("AUROC", "average precision", "IsolationForest", "PCA", "FactorAnalysis", "seconds", "malignant"):
        assert word in said
    assert len(_lines(out / "scores.csv")) == 376
    for name in DEMO_PICTURES:
        width, height = _png_size((out / f"{name}.png").read_bytes())
        assert width >= 500
        assert height >= 100
    assert (out / "report.html").read_text(encoding="utf-8").count("<img") == 5


def test_demonstration_in_few_epochs(tmp_path, capsys):
    demonstrate(tmp_path / "report", max_iter=2, n_draws=1)
    _assert_demonstrated(tmp_path / "report", capsys.readouterr().out)


@pytest.mark.slow
def test_demonstration_as_users_run_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sklae", "--out", tmp_path / "report"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    _assert_demonstrated(tmp_path / "report", done.stdout)
    for auroc, precision in re.findall(r"AEOutlierDetector +(\d\.\d+) +(\d\.\d+)", done.stdout):
        assert 0.0 < float(auroc) <= 1.0
        assert 0.0 < float(precision) <= 1.0
