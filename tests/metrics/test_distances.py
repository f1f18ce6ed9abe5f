"""Distances in a notebook: tables and matrices that have every figure once or twice, and nothing that is no text."""

from __future__ import annotations

import pickle
import re

import numpy as np

from sklae.metrics import ColumnDistances, PairDistances, association_distances, marginal_distances

REAL = np.random.RandomState(0).standard_normal((50, 3))


def _cells(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_columns_are_a_table_the_largest_distance_first():
    distances = marginal_distances(REAL, REAL + np.array([0, 9, 1]))
    assert dict(distances) == distances
    head, *rows = _cells(distances._repr_html_())
    assert head == ["column", "distance"]
    assert [row[0] for row in rows] == sorted(distances, key=lambda name: -distances[name])
    assert rows[0] == ["x1", "1.00"]


def test_pairs_are_a_matrix():
    distances = association_distances(REAL, REAL[:, [1, 0, 2]])
    head, *rows = _cells(distances._repr_html_())
    assert head == ["", "x0", "x1", "x2"]
    matrix = [row[1:] for row in rows]
    assert matrix == [list(column) for column in zip(*matrix, strict=True)]
    assert matrix[0] == ["", f"{distances['x0', 'x1']:.2f}", f"{distances['x0', 'x2']:.2f}"]


def test_of_many_columns_those_farthest_apart_are_shown():
    names = [f"c{i}" for i in range(50)]
    pairs = PairDistances({(a, b): 0.0 for i, a in enumerate(names) for b in names[i + 1 :]})
    pairs["c7", "c49"] = 0.9
    head, *rows = _cells(pairs._repr_html_())
    assert len(head) == len(rows) + 1 == 31
    assert {"c7", "c49"} <= set(head)
    assert "30 of 50 columns" in pairs._repr_html_()


def test_names_are_text():
    assert "<b>" not in ColumnDistances({"<b>": 0.5})._repr_html_()
    assert "<b>" not in PairDistances({("<b>", "c"): 0.5})._repr_html_()


def test_they_are_dicts_that_survive_a_pickle():
    distances = pickle.loads(pickle.dumps(PairDistances({("a", "b"): 0.5})))
    assert type(distances) is PairDistances
    assert distances == {("a", "b"): 0.5}
