"""Contexts: the leaves of a tree that asks for integers that are known already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from sklae.compression._coder import IntReader, IntWriter
from sklae.compression._histograms import Fitted, fit_levels, fit_root, size_level

__all__ = ["ContextTree", "grow"]

_LEAF = -1
# Thresholds to choose from a feature, and symbols told apart in growing.
_N_THRESHOLDS, _MOST_CLASSES = 63, 48
# About what a question takes in a model, in bits, beside the distributions of its answers.
_QUESTION = 12.0


@dataclass(frozen=True, eq=False)
class ContextTree:
    """Questions whether an integer is at most so much.

    Attributes
    ----------
    feature, threshold, left, right : ndarray of int64
        One a node, the root first, children behind their parents; ``feature`` is -1 at leaves.
    leaf : ndarray of int64
        The number of the leaf at each node that is one.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray

    @classmethod
    def of_one_leaf(cls) -> ContextTree:
        """Return a tree that asks nothing."""
        none = np.array([_LEAF])
        return cls(none, np.zeros(1, dtype=np.int64), none, none, np.zeros(1, dtype=np.int64))

    @property
    def n_leaves(self) -> int:
        return int((self.feature == _LEAF).sum())

    @property
    def used(self) -> list[int]:
        """Which features are asked for."""
        return sorted(set(self.feature[self.feature != _LEAF].tolist()))

    def apply(self, features: list[np.ndarray], n_rows: int) -> np.ndarray:
        """Return the leaf of each row; of features only those that are used need be there."""
        out = np.zeros(n_rows, dtype=np.int64)
        waiting = [(0, np.arange(n_rows))]
        while waiting:
            node, rows = waiting.pop()
            if self.feature[node] == _LEAF:
                out[rows] = self.leaf[node]
                continue
            goes_left = features[self.feature[node]][rows] <= self.threshold[node]
            for child, part in ((self.left[node], rows[goes_left]), (self.right[node], rows[~goes_left])):
                if len(part):
                    waiting.append((int(child), part))
        return out

    def keep_features(self, used: list[int]) -> ContextTree:
        """Return the same where features are numbered anew, those used alone."""
        place = {old: new for new, old in enumerate(used)}
        feature = np.array([place.get(each, _LEAF) for each in self.feature.tolist()])
        return ContextTree(feature, self.threshold, self.left, self.right, self.leaf)

    def write(self, to: IntWriter) -> None:
        """Write the tree: nodes in depth-first order, so that children need not be named."""
        to.ints("feature", self.feature)
        last: dict[int, int] = {}
        for feature, threshold in zip(self.feature.tolist(), self.threshold.tolist(), strict=True):
            if feature != _LEAF:
                to.ints("threshold", [threshold - last.get(feature, 0)])
                last[feature] = threshold

    @classmethod
    def read(cls, source: IntReader) -> ContextTree:
        """Read a tree that was written."""
        features: list[int] = []
        open_ends = 1
        while open_ends:
            features.append(source.one("feature"))
            open_ends += 1 if features[-1] != _LEAF else -1
        last: dict[int, int] = {}
        thresholds = []
        for feature in features:
            if feature != _LEAF:
                last[feature] = last.get(feature, 0) + source.one("threshold")
            thresholds.append(last[feature] if feature != _LEAF else 0)
        return _linked(np.array(features), np.array(thresholds))


def _linked(feature: np.ndarray, threshold: np.ndarray) -> ContextTree:
    """Return the tree of nodes in depth-first order."""
    left, right = np.full(len(feature), _LEAF), np.full(len(feature), _LEAF)
    parents: list[int] = []
    for node in range(len(feature)):
        if parents:
            parent = parents[-1]
            if left[parent] == _LEAF:
                left[parent] = node
            else:
                right[parent] = node
                parents.pop()
        if feature[node] != _LEAF:
            parents.append(node)
    is_leaf = feature == _LEAF
    leaf = np.where(is_leaf, np.cumsum(is_leaf) - 1, _LEAF)
    return ContextTree(feature, threshold, left, right, leaf)


def _coarse(symbols: np.ndarray, n_symbols: int) -> np.ndarray:
    """Return symbols with neighbours of rare ones taken together."""
    most = min(_MOST_CLASSES, len(symbols) // 4)
    if n_symbols <= most:
        return symbols
    counts = np.bincount(symbols, minlength=n_symbols)
    middle = np.cumsum(counts) - counts / 2.0
    return (middle * most / len(symbols)).astype(np.int64)[symbols]


def _thresholds(feature: np.ndarray) -> np.ndarray:
    """Return what a feature may be compared with."""
    distinct, counts = np.unique(feature, return_counts=True)
    if len(distinct) > _N_THRESHOLDS + 1:
        shares = np.cumsum(counts) * (_N_THRESHOLDS + 1) / len(feature)
        distinct = distinct[np.flatnonzero(np.diff(shares.astype(np.int64), append=0))]
    return distinct[:-1]


def grow(
    features: list[np.ndarray],
    symbols: np.ndarray,
    n_symbols: int,
    rng: np.random.RandomState,
    *,
    most_leaves: int = 256,
    most_rows: int = 24_000,
    least_rows: int = 20,
) -> tuple[ContextTree, np.ndarray, float]:
    """Grow a tree whose leaves tell symbols apart, as far as that saves more bits than the tree takes.

    Parameters
    ----------
    features : list of ndarray of shape (n_rows,), int64
    symbols : ndarray of shape (n_rows,), int64
    n_symbols : int
    rng : RandomState
        Of the rows that are looked at.

    Returns
    -------
    tree : ContextTree
    counts : ndarray of shape (n_leaves, n_symbols)
        Of all rows.
    bits : float
        About what symbols and tree take.
    """
    n_rows = len(symbols)
    whole = np.bincount(symbols, minlength=n_symbols)
    alone = fit_root(whole)
    single = ContextTree.of_one_leaf(), whole[None], float(alone.bits[0])
    edges = [_thresholds(feature) for feature in features]
    varying = [i for i, each in enumerate(edges) if len(each)]
    if not varying or alone.data_bits[0] < 64.0 or n_rows < 2 * least_rows:
        return single
    rows = np.arange(n_rows) if n_rows <= most_rows else rng.choice(n_rows, most_rows, replace=False)
    table = np.stack([np.searchsorted(edges[i], features[i][rows], side="left") for i in varying], axis=1)
    tree = DecisionTreeClassifier(
        criterion="entropy",
        max_leaf_nodes=int(np.clip(len(rows) // least_rows, 2, most_leaves)),
        min_samples_leaf=max(1, least_rows * len(rows) // n_rows),
        random_state=rng,
    ).fit(table.astype(np.float32), _coarse(symbols, n_symbols)[rows])
    found = tree.tree_
    feature = np.where(found.children_left < 0, _LEAF, np.array(varying)[np.maximum(found.feature, 0)])
    threshold = np.zeros(len(feature), dtype=np.int64)
    for node in np.flatnonzero(feature != _LEAF):
        threshold[node] = edges[feature[node]][int(np.floor(found.threshold[node]))]
    is_leaf = feature == _LEAF
    leaf = np.where(is_leaf, np.cumsum(is_leaf) - 1, _LEAF)
    grown = ContextTree(feature, threshold, found.children_left, found.children_right, leaf)
    leaves = grown.apply(features, n_rows)
    counts = np.bincount(leaves * n_symbols + symbols, minlength=grown.n_leaves * n_symbols)
    return _pruned(grown, counts.reshape(grown.n_leaves, n_symbols), alone, single)


def _pruned(
    tree: ContextTree, counts: np.ndarray, root: Fitted, single: tuple[ContextTree, np.ndarray, float]
) -> tuple[ContextTree, np.ndarray, float]:
    """Leave out what saves less than it takes."""
    n_nodes = len(tree.feature)
    is_leaf = tree.feature == _LEAF
    by_node = np.zeros((n_nodes, counts.shape[1]), dtype=np.int64)
    by_node[is_leaf] = counts[tree.leaf[is_leaf]]
    inner = np.flatnonzero(~is_leaf)[::-1].tolist()  # children come behind their parents
    for node in inner:
        by_node[node] = by_node[tree.left[node]] + by_node[tree.right[node]]
    bits = fit_levels(by_node, root.levels[0], size_level(by_node[0])).bits
    is_kept = np.zeros(n_nodes, dtype=bool)
    for node in inner:
        divided = bits[tree.left[node]] + bits[tree.right[node]] + _QUESTION
        is_kept[node] = divided < bits[node]
        bits[node] = min(bits[node], divided)
    total = float(bits[0] + root.model_bits[0])
    if not is_kept[0] or total >= single[2]:
        return single
    feature: list[int] = []
    threshold: list[int] = []
    kept: list[np.ndarray] = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        feature.append(int(tree.feature[node]) if is_kept[node] else _LEAF)
        threshold.append(int(tree.threshold[node]) if is_kept[node] else 0)
        if is_kept[node]:
            waiting += [int(tree.right[node]), int(tree.left[node])]
        else:
            kept.append(by_node[node])
    return _linked(np.array(feature), np.array(threshold)), np.stack(kept), total
