"""Tables compressed on the command line, and back."""

import numpy as np
import pytest

from sklae._cli.main import main

pytest.importorskip("constriction")
pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")


@pytest.fixture
def table(tmp_path):
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {"x": rng.normal(size=50).round(3), "n": rng.randint(9, size=50), "k": rng.choice(["a", "b"], 50)}
    )
    frame.to_parquet(tmp_path / "table.parquet")
    return frame


def test_a_table_comes_back(tmp_path, table, capsys):
    assert main(["compress", str(tmp_path / "table.parquet"), str(tmp_path / "small")]) == 0
    assert main(["decompress", str(tmp_path / "small"), str(tmp_path / "back.parquet")]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "back.parquet"), table)
    said = capsys.readouterr()
    assert "small: " in said.out
    assert "times as many" in said.out
    assert "compress: 100%" in said.err
    assert main(["decompress", str(tmp_path / "small"), str(tmp_path / "back.csv")]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "back.csv"), table)


def test_numbers_stay_within_the_error(tmp_path, table):
    arguments = ["compress", str(tmp_path / "table.parquet"), str(tmp_path / "small"), "--max-error"]
    assert main([*arguments, "5%"]) == 0
    assert main([*arguments, "0.1"]) == 2  # it is there
    assert main([*arguments, "0.1", "--overwrite"]) == 0
    assert main(["decompress", str(tmp_path / "small"), str(tmp_path / "back.parquet")]) == 0
    back = pd.read_parquet(tmp_path / "back.parquet")
    assert 0 < (back["x"] - table["x"]).abs().max() <= 0.1
    assert back["n"].equals(table["n"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compress", "nowhere.csv", "small"], "no file"),
        (["compress", "table.parquet"], "required: OUT"),
        (["compress", "table.parquet", "small", "--max-error", "much"], "a number, or a share"),
        (["compress", "table.parquet", "small", "--max-error", "-1"], "at or above 0"),
        (["compress", "table.parquet", "no/such/folder/small"], "folder that is not there"),
        (["decompress", "nowhere", "back.csv"], "no file"),
        (["decompress", "table.parquet", "back.csv"], "no table compressed by sklae"),
        (["decompress", "table.parquet", "back.docx"], "expected a file named"),
    ],
)
def test_what_can_not_be_done_is_told(tmp_path, table, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert says in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.parquet"]


def test_cells_of_a_csv_file_come_back_as_they_are_written(tmp_path, capsys):
    lines = [
        "zip,amount,note,big,f,n,gap,flag",
        "001,1.50,NA,123456789012345678901,0.2234567890123456789,1,1,True",
        "002,2.25,x,5,0.5,2,,False",
        "003,2.5,,6,0.25,3,3,True",
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    assert main(["compress", str(tmp_path / "table.csv"), str(tmp_path / "small")]) == 0
    assert "kept as text, for as numbers they would be written otherwise: zip, amount, f" in capsys.readouterr().out
    assert main(["decompress", str(tmp_path / "small"), str(tmp_path / "back.csv")]) == 0
    assert (tmp_path / "back.csv").read_text() == (tmp_path / "table.csv").read_text()
