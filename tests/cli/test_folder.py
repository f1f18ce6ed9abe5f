"""Where reports go: nothing is lost, and nothing is left half-written."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from sklae._cli import folder as module
from sklae._cli.folder import ReportFolder
from sklae._cli.main import main
from sklae._cli.report import REPORT_FILES, Report
from sklae._cli.words import Refusal
from sklae.exceptions import InterruptedFitWarning

TABLE = "a,b\n" + "\n".join(f"{i * 37 % 11},{i * 17 % 13}" for i in range(20)) + "\n"
OLD = {"report.html": "old", "training_curve.png": "old", "mine.txt": "mine"}


def _write(path: Path) -> None:
    for name in ("report.html", "scores.csv", "score_histogram.png"):
        (path / name).write_text("new")


def _contents(path: Path) -> dict[str, str]:
    """Return all files below, hidden ones too."""
    return {str(each.relative_to(path)): each.read_text() for each in sorted(path.rglob("*")) if each.is_file()}


@pytest.fixture
def old(tmp_path):
    """Return a folder with a report and a file of the user's."""
    path = tmp_path / "report"
    path.mkdir()
    for name, text in OLD.items():
        (path / name).write_text(text)
    return path


NEW = dict.fromkeys(["report.html", "score_histogram.png", "scores.csv"], "new")


@pytest.mark.parametrize("where", ["report", "a/b/report", "empty", "link", "with/../report"])
def test_a_report_is_written_into_a_folder_of_its_own(where, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "with").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    path = tmp_path / where
    ReportFolder(path).check()
    assert ReportFolder(path).fill(_write) == sorted(NEW)
    assert _contents(path) == NEW
    assert not list(tmp_path.glob(".*"))
    plain = tmp_path / "plain"
    plain.mkdir()
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_report_may_stand_beside_other_files(tmp_path):
    (tmp_path / "table.csv").write_text(TABLE)
    ReportFolder(tmp_path, table=tmp_path / "table.csv").fill(_write)
    assert _contents(tmp_path) == {**NEW, "table.csv": TABLE}


@pytest.mark.parametrize("name", REPORT_FILES)
def test_an_earlier_report_is_not_replaced(name, tmp_path):
    (tmp_path / name).write_text("old")
    for call in (ReportFolder.check, lambda folder: folder.fill(_write)):
        with pytest.raises(
            Refusal, match=rf"where a report is already \({name}\); .* Add --overwrite to replace it, or"
        ):
            call(ReportFolder(tmp_path))
        assert _contents(tmp_path) == {name: "old"}


def test_an_earlier_report_is_replaced_where_it_may_be(old):
    folder = ReportFolder(old, overwrite=True)
    folder.check()
    folder.fill(_write)
    assert _contents(old) == {**NEW, "mine.txt": "mine"}


def _hard_link(link: Path, table: Path) -> None:
    os.link(table, link)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("link", [None, _hard_link, Path.symlink_to])
@pytest.mark.parametrize("name", REPORT_FILES)
def test_the_table_is_not_replaced(name, link, overwrite, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    table = tmp_path / "table.csv" if link else out / name
    table.write_text(TABLE)
    if link:
        link(out / name, table)
    with pytest.raises(Refusal, match=f"where {name} would replace the table itself"):
        ReportFolder(out, overwrite, table).check()
    assert table.read_text() == TABLE


def test_the_table_is_not_replaced_through_a_linked_folder(tmp_path):
    (tmp_path / "data").mkdir()
    table = tmp_path / "data" / "scores.csv"
    table.write_text(TABLE)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(Refusal, match="would replace the table itself"):
        ReportFolder(tmp_path / "link", True, table).check()
    with pytest.raises(Refusal, match="would replace the table itself"):
        ReportFolder(tmp_path / "data", True, tmp_path / "link" / "scores.csv").check()


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "full" / "report.html").mkdir(parents=True)
    cases = {
        "file": "is a file; expected a folder",
        "file/below": "is a file; expected a folder",
        "nowhere": "is a link to nothing",
        "nowhere/below": "is a link to nothing",
        "full": "where report.html is a folder",
    }
    for name, words in cases.items():
        with pytest.raises(Refusal, match=words):
            ReportFolder(tmp_path / name, overwrite=True).check()
    for name in ("loop/below", "x" * 300):
        with pytest.raises(OSError, match=r"levels of symbolic links|name too long"):
            ReportFolder(tmp_path / name).check()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    table = tmp_path / "table.csv"
    table.write_text(TABLE)

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "TemporaryDirectory", refuse)
    monkeypatch.setattr("sklae._cli.main.read_table", lambda path: pytest.fail("work was done"))
    assert main([str(table), "--out", str(tmp_path / "report")]) == 2
    assert f"{tmp_path} is not writable (Permission denied)" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("overwrite", [False, True])
def test_of_a_failed_report_nothing_is_left(error, overwrite, tmp_path, old):
    path = old if overwrite else tmp_path / "new" / "report"
    before = _contents(tmp_path)

    def fail(path):
        (path / "report.html").write_text("half")
        raise error

    with pytest.raises((Refusal, KeyboardInterrupt)) as raised:
        ReportFolder(path, overwrite).fill(fail)
    if isinstance(error, OSError):
        assert "where nothing has changed: [Errno 28] No space left on device. Make room" in str(raised.value)
    assert _contents(tmp_path) == before
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("n_moved", range(5))
@pytest.mark.parametrize("is_done", [False, True])
def test_files_are_moved_all_or_none(error, n_moved, is_done, old, monkeypatch):
    """Two old files and three new ones; an interruption may come before or after a move."""
    replace, moved = os.replace, []

    def fail(source, target):
        moved.append(source)
        if len(moved) != n_moved + 1:
            return replace(source, target)
        if is_done:
            replace(source, target)
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((Refusal, KeyboardInterrupt)):
        ReportFolder(old, overwrite=True).fill(_write)
    assert _contents(old) == OLD


def test_a_report_that_came_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "report"

    def write(aside):
        _write(aside)
        path.mkdir()
        (path / "report.html").write_text("another's")

    with pytest.raises(Refusal, match="where a report is already"):
        ReportFolder(path).fill(write)
    assert _contents(tmp_path) == {"report/report.html": "another's"}


# -- as users see it ------------------------------------------------------------------------------------


def test_a_second_report_needs_to_be_asked_for(run):
    status, _, out = run(TABLE)
    assert status == 0
    (out / "mine.txt").write_text("keep")
    before = (out / "scores.csv").read_bytes()
    status, said, _ = run(TABLE, "--contamination", "0.3")
    assert (status, said.out) == (2, "")
    assert "Add --overwrite to replace it, or choose another --out." in said.err
    assert (out / "scores.csv").read_bytes() == before
    status, _, _ = run(TABLE, "--contamination", "0.3", "--overwrite")
    assert status == 0
    assert (out / "scores.csv").read_bytes() != before
    assert (out / "mine.txt").read_text() == "keep"


def test_a_report_that_cannot_be_written_is_refused_in_a_line(run, monkeypatch):
    def fail(self, folder):
        (folder / "report.html").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Report, "write", fail)
    status, said, out = run(TABLE)
    assert status == 2
    assert said.err.count("\n") == 1
    assert "nothing has changed: [Errno 28]" in said.err
    assert [path.name for path in out.parent.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_table_called_as_a_report_is_kept(overwrite, tmp_path, monkeypatch, capsys):
    (tmp_path / "scores.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    assert main(["scores.csv", "--out", ".", *overwrite]) == 2
    assert "would replace the table itself" in capsys.readouterr().err
    assert _contents(tmp_path) == {"scores.csv": TABLE}


@pytest.mark.parametrize("out", ["", " "])
def test_no_name_is_no_folder(out, tmp_path, monkeypatch, capsys):
    (tmp_path / "table.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    assert main(["table.csv", "--out", out]) == 2
    assert f"Got '{out}'; expected a path" in capsys.readouterr().err
    assert _contents(tmp_path) == {"table.csv": TABLE}


def test_a_fit_that_was_cut_short_makes_no_report(run, monkeypatch):
    def cut_short(*_, **__):
        warnings.warn("the best weights were kept", InterruptedFitWarning, stacklevel=1)

    monkeypatch.setattr("sklae._cli.main.inspect", cut_short)
    status, said, out = run(TABLE)
    assert (status, said.err) == (130, "sklae: Interrupted.\n")
    assert not out.exists()


def _started(folder):
    """Return a process that reports on a table there."""
    (folder / "table.csv").write_text(TABLE)
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "sklae", "table.csv", "--out", "report"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_run_ends_and_leaves_nothing(tmp_path):
    running = _started(tmp_path)
    assert "20 rows" in running.stdout.readline()
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "sklae: Interrupted.\n")
    assert _contents(tmp_path) == {"table.csv": TABLE}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes that are closed behind one are POSIX's")
def test_the_report_is_written_though_nobody_reads_on(tmp_path):
    running = _started(tmp_path)
    running.stdout.close()
    said = running.stderr.read()
    assert (running.wait(timeout=120), said) == (0, "")
    assert "scores.csv" in {path.name for path in (tmp_path / "report").iterdir()}
