"""Which columns are modelled: measurements, not what numbers or names the rows."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklae._cli.columns import Usable
from sklae._cli.words import Refusal

N = 60
RNG = np.random.RandomState(0)
X = {"x": RNG.normal(size=N), "kind": RNG.choice(["u", "v"], N)}
EVERY = np.arange(N)
SCATTERED = RNG.permutation(1000)[:N]


def _with(values, name="name", *, first=False):
    columns = {name: values, **X} if first else {**X, name: values}
    return pd.DataFrame({key: pd.Series(list(value)) for key, value in columns.items()})


#: Name and values of a column that numbers or names the rows.
NAMING = {
    "from 0": ("n", EVERY),
    "from 1": ("n", EVERY + 1),
    "from elsewhere": ("n", EVERY + 1001),
    "backwards": ("n", N - EVERY),
    "by tens": ("n", 10 * EVERY),
    "by tenths": ("n", 0.1 * EVERY),
    "rounded thirds": ("n", EVERY / 3),
    "large": ("n", 2**60 + EVERY * 2**20),
    "with gaps between": ("n", np.delete(np.arange(N + 9), np.arange(3, 30, 3))),
    "with missing cells": ("n", [np.nan if i % 7 == 3 else i for i in range(N)]),
    "in another order": ("n", RNG.permutation(N)),
    "in another order, from 1": ("n", RNG.permutation(N) + 1),
    "an index": ("index", SCATTERED),
    "an id": ("id", SCATTERED),
    "an ID": ("ID", SCATTERED),
    "an id, with a gap": ("id", [np.nan, *SCATTERED[1:]]),
    "someone's id": ("PassengerId", SCATTERED),
    "customer_id": ("customer_id", SCATTERED),
    "a number": ("Kunden-Nr.", SCATTERED),
    "#": ("#", SCATTERED),
    "without a name": ("Unnamed: 2", SCATTERED),
    "text": ("name", [f"name {i}" for i in range(N)]),
    "text with a gap": ("name", [None, *(f"name {i}" for i in range(1, N))]),
    "dates": ("when", pd.date_range("2024-01-01", periods=N)),
}


@pytest.mark.parametrize("case", NAMING)
def test_what_numbers_or_names_the_rows_is_shown_and_not_modelled(case):
    name, values = NAMING[case]
    frame = _with(values, name)
    table = Usable.of(frame)
    assert list(table.frame.columns) == ["x", "kind"]
    remedy = " To model one, use --keep." if name not in ("name", "when") else ""
    assert table.remarks == [f"Left out, as they number or name the rows, and shown beside them: {name}.{remedy}"]
    cells = ["" if pd.isna(value) else str(value).removesuffix(".0") for value in frame[name]]
    assert table.beside == {name: cells}


#: Name and values of a column that is modelled.
MEASURED = {
    "numbers": ("n", RNG.normal(size=N)),
    "whole numbers that differ": ("n", SCATTERED),
    "counts": ("n", RNG.poisson(3, N)),
    "a constant": ("n", np.ones(N)),
    "one that is off": ("n", np.where(EVERY == 30, 900, EVERY)),
    "sorted measurements": ("n", np.sort(RNG.normal(size=N))),
    "sorted whole numbers": ("n", np.sort(SCATTERED)),
    "ids of groups": ("id", RNG.randint(20, size=N)),
    "fractions called id": ("id", RNG.normal(size=N)),
    "weeks, one group after another": ("week", EVERY % 10),
    "paid": ("paid", SCATTERED),
    "a rapid one": ("humid", SCATTERED),
    "no_visits": ("no_visits", SCATTERED),
    "booleans": ("id", EVERY % 2 == 0),
    "text": ("name", [f"name {i % 20}" for i in range(N)]),
}


@pytest.mark.parametrize("case", MEASURED)
def test_measurements_are_modelled(case):
    name, values = MEASURED[case]
    table = Usable.of(_with(values, name))
    assert list(table.frame.columns) == ["x", "kind", name]
    assert (table.remarks, table.beside) == ([], {})


def test_an_index_that_starts_over_is_no_measurement():
    parts = np.tile(np.arange(N // 2), 2)
    assert list(Usable.of(_with(parts, "Unnamed: 0", first=True)).beside) == ["Unnamed: 0"]
    assert not Usable.of(_with(parts, "Unnamed: 2")).beside
    nameless = pd.DataFrame(RNG.poisson(3, (N, 2)), columns=["Unnamed: 0", "Unnamed: 1"])
    assert not Usable.of(nameless).beside


@given(st.integers(-(10**9), 10**9), st.integers(-(10**6), 10**6).filter(bool), st.sampled_from([1, 0.01, 1e-6]))
def test_any_equal_steps_are_found(start, step, unit):
    assert list(Usable.of(_with((start + step * EVERY) * unit)).beside) == ["name"]


@given(st.lists(st.integers(0, 10**6), min_size=N, max_size=N, unique=True))
def test_numbers_called_ids_are_found_in_any_order(numbers):
    assert list(Usable.of(_with(numbers, "id")).beside) == ["id"]


def test_of_few_rows_nothing_is_said():
    few = pd.DataFrame({"a": [1, 2, 3, 4], "b": list("wxyz")})
    assert list(Usable.of(few).frame.columns) == ["a", "b"]
    assert not Usable.of(pd.DataFrame({"id": [1, 2, 3], "b": [4, 7, 5]}).rename(columns={"id": "z"})).beside
    assert list(Usable.of(pd.DataFrame({"id": [1, 2, 4], "b": [4, 7, 5]})).beside) == ["id"]


def test_decimals_are_no_names():
    values = [Decimal(i * i) / 7 for i in range(N)]
    assert not Usable.of(_with(values)).beside


def test_columns_may_be_kept_and_dropped():
    frame = _with(EVERY, "year").assign(id=SCATTERED, name=[f"name {i}" for i in range(N)])
    table = Usable.of(frame, drop=["name"], keep=["year"])
    assert list(table.frame.columns) == ["x", "kind", "year"]
    assert list(table.beside) == ["id"]
    with pytest.raises(Refusal, match="Got --keep 'name', a column of neither numbers nor categories"):
        Usable.of(frame, keep=["name"])
    with pytest.raises(Refusal, match="Got --keep 'y'; expected one of the columns: x, kind, year, id, name"):
        Usable.of(frame, keep=["y"])


def test_columns_are_named_as_written_or_as_shown():
    frame = _with(EVERY % 7, "a\nb" + "c" * 100)
    for name in ("a\nb" + "c" * 100, Usable.of(frame).frame.columns[-1]):
        assert list(Usable.of(frame, drop=[name]).frame.columns) == ["x", "kind"]


def test_names_that_look_alike_stay_apart():
    names = ["a" * 60 + middle + "a" * 60 for middle in "xyz"]
    table = Usable.of(pd.DataFrame({name: RNG.normal(size=N) for name in names}))
    assert len(set(table.frame.columns)) == 3
    assert list(Usable.of(pd.DataFrame([[1, 2.5], [3, 1.5]], columns=["a", "a"])).frame.columns) == ["a", "a.1"]


def test_three_are_shown_beside():
    table = Usable.of(_with(EVERY).assign(**{f"n{i}": [f"{i} {j}" for j in range(N)] for i in range(4)}))
    assert len(table.beside) == 3
    assert "and the first 3 shown beside them: name, n0, n1, n2, n3." in table.remarks[0]


def test_what_stands_among_numbers_is_told():
    table = Usable.of(_with(["?" if i % 9 == 0 else f"{i % 50}" for i in range(N)], "dose"))
    n_others = len(range(0, N, 9))
    assert table.remarks == [
        "Left out, as they are neither numbers nor categories: dose.",
        f"Of dose, {N - n_others} cells are numbers and {n_others} are not, such as '?': empty these, and it is looked "
        "at.",
    ]
    assert table.size().startswith(f"{N} rows, 1 numeric column and ")


def test_a_table_of_ids_only_is_refused():
    with pytest.raises(Refusal, match=r"without usable columns; .* number or name the rows, .*: id\. .* use --keep"):
        Usable.of(pd.DataFrame({"id": EVERY}))


def test_a_row_is_found_by_its_name(run):
    table = _with([f"id {i:03}" for i in range(N)], "who").assign(y=X["x"] + RNG.normal(0, 0.01, N))
    table.loc[17, "y"] += 5
    status, said, out = run(table)
    assert status == 0
    assert "Left out, as they number or name the rows, and shown beside them: who." in said.out
    page = (out / "report.html").read_text("utf-8")
    assert "shown beside them: who." in page
    assert '<td data-label="who">id 017</td>' in page
    assert said.out.split("where it is strange\n")[1].split()[:3] == ["17", "id", "017"]
    scores = pd.read_csv(out / "scores.csv")
    assert scores["who"].tolist() == table["who"].tolist()
    assert scores["score"].idxmin() == 17
    assert not scores["reasons"].str.contains("who").any()
