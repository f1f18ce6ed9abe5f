"""Tables from files: cells are in the column that they were written in, or the file is refused."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklae._cli.files import read_table
from sklae._cli.words import Refusal


def _read(folder, text, name="table.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path)


LAST = "Left out, as every value is missing: a last column without a name."

#: Text, the columns read from it, and what is said.
READ = {
    "plain": ("a,b\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}, []),
    "no line end": ("a,b\n1,x\n2,y", {"a": [1, 2], "b": ["x", "y"]}, []),
    "a comma at the end of each row": ("a,b\n1,x,\n2,y,\n", {"a": [1, 2], "b": ["x", "y"]}, [LAST]),
    "commas": (
        "a,b\n1,x,, \n2,y,,\n",
        {"a": [1, 2], "b": ["x", "y"]},
        [LAST[:37] + "the last 2 columns, without names."],
    ),
    "semicolons": ("a;b\n1,5;x;\n2,5;y;\n", {"a": [1.5, 2.5], "b": ["x", "y"]}, [LAST]),
    "a comma behind the names, too": (
        "a,b,\n1,x,\n2,y,\n",
        {"a": [1, 2], "b": ["x", "y"], "Unnamed: 2": [None] * 2},
        [],
    ),
    "a comma behind the names only": ("a,b,\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"], "Unnamed: 2": [None] * 2}, []),
    "lines of nothing": ("\na,b\n\n1,x\n  \n2,y\n\n", {"a": [1, 2], "b": ["x", "y"]}, []),
    "quoted separators": ('a,"b,c"\n1,"x,\n"\n2,"y,"\n', {"a": [1, 2], "b,c": ["x,\n", "y,"]}, []),
    "quoted semicolons": ('"a;b;c","d"\n"1;5",2\n"1;6",3\n', {"a;b;c": ["1;5", "1;6"], "d": [2, 3]}, []),
    "text with a comma": ("a;b\n1.5;x, y\n2.5;z\n", {"a": [1.5, 2.5], "b": ["x, y", "z"]}, []),
    "marks": ("\ufeffa,b\r\n1,x\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}, []),
    "old line ends": ("a,b\r1,x\r2,y\r", {"a": [1, 2], "b": ["x", "y"]}, []),
    "names twice": ("a,a\n1,x\n2,y\n", {"a": [1, 2], "a.1": ["x", "y"]}, []),
    "no names": (
        "5.1,3,x\n4.9,3,x\n4.7,2,y\n",
        {"5.1": [4.9, 4.7], "3": [3, 2], "x": ["x", "y"]},
        [
            "Took the first line for the names of the columns, though it looks like a row: 5.1, 3. Put a line of names "
            "before it, if there is none."
        ],
    ),
    "years": ("2019,2020\n1,x\n2,y\n", {"2019": [1, 2], "2020": ["x", "y"]}, []),
    "a large cell": (f"a,b\n1,{'x' * 200_000}\n2,y\n", {"a": [1, 2], "b": ["x" * 200_000, "y"]}, []),
}


@pytest.mark.parametrize("case", READ)
def test_cells_are_in_their_columns(case, tmp_path):
    text, columns, said = READ[case]
    before = csv.field_size_limit()
    frame, remarks = _read(tmp_path, text)
    assert frame.astype(object).where(frame.notna(), None).to_dict("list") == columns
    assert remarks == said
    assert csv.field_size_limit() == before


MEND = "Mend that line: a separator or a quotation mark is missing there, or too many."

#: Text, and words of the answer.
RAGGED = {
    "too long": (
        "a,b\n1,2\n3,4,5\n",
        "row 1 (line 3 of the file, rows counted from 0) has 3 cells; expected 2, one for each",
    ),
    "too long and empty": (
        "a,b\n1,2\n3,4,\n",
        "row 1 (line 3 of the file, rows counted from 0) has 3 cells; expected 2",
    ),
    "too short": ("a,b\n1,2\n3\n", "row 1 (line 3 of the file, rows counted from 0) has 1 cell; expected 2"),
    "the first": ("a,b,c\n1,2\n3,4,5\n", "row 0 (line 2 of"),
    "all too short": ("a,b,c\n1,2\n3,4\n", "row 0 (line 2 of the file, rows counted from 0) has 2 cells; expected 3"),
    "row names without a name": (
        "a,b\nx,1,2\ny,3,4\n",
        "row 0 (line 2 of the file, rows counted from 0) has 3 cells; expected 2",
    ),
    "one filled": (
        "a,b\n1,2,\n3,4,5\n5,6,\n",
        "row 1 (line 3 of the file, rows counted from 0) has 3 cells; expected 2",
    ),
    "most end with a comma": (
        "a,b\n1,2,\n3,4,,\n5,6,\n",
        "row 1 (line 3 of the file, rows counted from 0) has 4 cells; expected 3, as most",
    ),
    "after lines of nothing": ("a,b\n\n1,2\n\n\n3\n", "row 1 (line 6 of"),
    "after a cell of two lines": ('a,b\n1,"x\ny"\n3\n', "row 1 (line 4 of"),
    "of two lines itself": ('a,b\n1,2\n"x\ny"\n', "row 1 (line 3 of"),
    "tabs": ("a\tb\n1\t2\n3\t4\t5\n", "row 1 (line 3 of"),
    "a title above": (
        "My table\na,b\n1,2\n",
        "row 0 (line 2 of the file, rows counted from 0) has 2 cells; expected 1",
    ),
    "a total below": (
        "a,b\n1,2\n3,4\ntotal\n",
        "row 2 (line 4 of the file, rows counted from 0) has 1 cell; expected 2",
    ),
}


@pytest.mark.parametrize("case", RAGGED)
def test_ragged_rows_are_refused_by_number(case, tmp_path):
    text, words = RAGGED[case]
    with pytest.raises(Refusal) as refused:
        _read(tmp_path, text)
    assert str(refused.value).startswith(f"Got table.csv, whose {words}")
    assert str(refused.value).endswith(MEND)


_CELLS = st.text("ab1,;\"'\n |", max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_is_read_or_refused(tmp_path_factory, data):
    """Any table with text in its cells, and then with a cell more or less in one row, or in all."""
    n_rows, n_columns = data.draw(st.integers(2, 6)), data.draw(st.integers(2, 4))
    rows = data.draw(
        st.lists(st.lists(_CELLS, min_size=n_columns, max_size=n_columns), min_size=n_rows, max_size=n_rows)
    )
    rows = [["a", *row] for row in rows]  # no line of nothing
    names = [f"column {i}" for i in range(n_columns + 1)]
    folder = tmp_path_factory.mktemp("tables")

    def read(rows):
        file = io.StringIO()
        csv.writer(file).writerows([names, *rows])
        return _read(folder, file.getvalue())

    for surplus in ([], [""], ["", " "]):
        frame, remarks = read([row + surplus for row in rows])
        assert list(frame.columns) == names
        assert bool(remarks) == bool(surplus)
        as_read = pd.read_csv(io.StringIO(_quoted([names, *rows])))
        pd.testing.assert_frame_equal(frame, as_read)
    odd = data.draw(st.integers(0, n_rows - 1))
    for ragged in (rows[odd][:-1], [*rows[odd], ""], [*rows[odd], "x"]):
        with pytest.raises(Refusal, match=rf"row {odd} \(line .* has {len(ragged)} cells?; expected {n_columns + 1},"):
            read([*rows[:odd], ragged, *rows[odd + 1 :]])


def _quoted(rows):
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


#: Bytes, and words of the answer.
UNREADABLE = {
    "nothing": (b"", "an empty file"),
    "lines of nothing": (b"\n\n", "an empty file"),
    "an open quotation mark": (b'a,b\n1,"2\n3,4\n', "not readable as csv in UTF-8"),
    "Latin-1": ("a,größe\n1,2\n3,4\n".encode("latin-1"), "not readable as csv in UTF-8"),
    "UTF-16": ("a,b\n1,2\n3,4\n".encode("utf-16"), "not readable as csv in UTF-8"),
    "names only": (b"a,b\n", "a table of 0 rows"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_table_is_refused(case, tmp_path):
    text, words = UNREADABLE[case]
    with pytest.raises(Refusal, match=words):
        _read(tmp_path, text)


def test_an_index_of_pandas_is_read_as_a_column(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="who"))
    frame.to_parquet(path)
    assert read_table(path)[0].to_dict("list") == {"who": ["x", "y"], "a": [1, 2]}
    frame.reset_index(drop=True).to_parquet(path)
    assert read_table(path)[0].to_dict("list") == {"a": [1, 2]}
    frame.rename_axis("a").to_parquet(path)
    assert read_table(path)[0].to_numpy().tolist() == [["x", 1], ["y", 2]]
