"""What tests of the command line share."""

from __future__ import annotations

import pytest

from sklae._cli.main import main


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
