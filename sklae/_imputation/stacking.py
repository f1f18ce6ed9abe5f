"""How far to believe each of several models, column by column, by cells whose values were held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from sklae._imputation.account import Account
from sklae._tables.indicators import Cells

__all__ = ["Stack", "energy_score", "energy_weights"]

# A column's own weights count as much as the table's from so many held-out cells on.
_PRIOR_CELLS = 200.0
# Of that prior, what pulls towards the table's weights even where all models agree.
_PULL = 0.3
# Fewer held-out cells of a kind say nothing: the first model is believed.
_LEAST_CELLS = 30
# Errors beyond so many standard deviations count linearly.
_HUBER = 3.0
# Models of less weight than this, in the mean of columns, are left out.
_LEAST_WEIGHT = 0.02
_LEAST_CHANCE = 1e-3
_EM_ITERATIONS = 30
# No model is drawn from whose energy score is more than this times the least.
_MOST_SCORE = 1.04
# Of exponentiated gradient descent.
_N_STEPS, _STEP = 1_000, 10.0


class Stack:
    """Weights of models, above zero and of sum 1 for each column.

    Of numbers they make the squared error least (Breiman, Stacked regressions, 1996), of categories the true levels
    likeliest.

    Parameters
    ----------
    cells : Cells

    Attributes
    ----------
    used : ndarray of int
        Positions of the models that have a say.
    weights : ndarray of shape (n_columns, n_used)
    """

    def __init__(self, cells: Cells):
        self.cells = cells

    def fit(
        self,
        truth: np.ndarray,
        given: Sequence[np.ndarray],
        names: Sequence[str],
        parts: Sequence[str],
        counts: np.ndarray | None = None,
    ) -> Stack:
        """Learn the weights.

        Parameters
        ----------
        truth : ndarray of shape (n_samples, n_cells)
            Cells that were held out; NaN elsewhere.
        given : sequence of ndarray of shape (n_samples, n_cells)
            What each model expects.
        names, parts : sequence of str
            Of the columns, and of the models.
        counts : ndarray of shape (n_samples,) or None, default=None
            How much each row counts; None: all alike.
        """
        self._counts = np.ones(len(truth)) if counts is None else counts
        everything = np.stack(given)
        self._learn(truth, everything, np.arange(len(given)))
        kept = np.flatnonzero(self.weights.mean(axis=0) >= _LEAST_WEIGHT)
        if len(kept) < len(given):
            self._learn(truth, everything[kept], kept)
        self.account = self._make_account(truth, everything, names, parts)
        del self._counts  # of training rows
        return self

    def single(self) -> Stack:
        """Believe the only model there is."""
        self.used = np.zeros(1, dtype=int)
        self.weights = np.ones((len(self.cells.n_levels), 1))
        return self

    def __call__(self, given: Sequence[np.ndarray]) -> np.ndarray:
        """Return the weighted cells of the models that are used; of categories probabilities are weighted."""
        if len(given) == 1:
            return given[0]
        weights = self.weights[self.cells.owner].T
        return np.einsum("cd,cnd->nd", weights, np.stack([self._chances(one) for one in given]))

    def _chances(self, cells: np.ndarray) -> np.ndarray:
        """Return cells with those of a category as probabilities of sum 1."""
        if self.cells.only_numbers:
            return cells
        is_coded = self.cells.is_coded[self.cells.owner]
        chances = np.where(is_coded, np.clip(cells, _LEAST_CHANCE, None), 1.0)
        return np.where(is_coded, chances / self.cells.add_up(chances)[:, self.cells.owner], cells)

    # -- learning ---------------------------------------------------------------------------------------

    def _learn(self, truth: np.ndarray, given: np.ndarray, used: np.ndarray) -> None:
        n_columns, n_models = len(self.cells.n_levels), len(given)
        first = np.eye(n_models)[0]
        self.used, self.weights = used, np.tile(first, (n_columns, 1))
        if n_models == 1:
            return
        for of_categories, learn in enumerate((self._of_numbers, self._of_categories)):
            columns = np.flatnonzero(self.cells.is_coded == bool(of_categories))
            known = [self.known(j, truth) for j in columns.tolist()]
            if sum(rows.sum() for rows in known) >= _LEAST_CELLS:
                self.weights[columns] = learn(columns, known, truth, given)

    def _of_numbers(
        self, columns: np.ndarray, known: list[np.ndarray], truth: np.ndarray, given: np.ndarray
    ) -> np.ndarray:
        products = []
        for j, rows in zip(columns.tolist(), known, strict=True):
            place = self.cells.first[j]
            errors = truth[rows, place] - given[:, rows, place]
            typical = np.maximum(np.abs(errors.mean(axis=0)), 1e-9)
            products.append((errors * np.minimum(1.0, _HUBER / typical) * self._counts[rows]) @ errors.T)
        n_cells, total = sum(rows.sum() for rows in known), np.sum(products, axis=0)
        common = _least_squares(total, np.zeros(len(given)))
        pull = _PULL * _PRIOR_CELLS * np.diag(total).min() / n_cells
        weights = [
            _least_squares(own + _PRIOR_CELLS / n_cells * total + pull * np.eye(len(given)), pull * common)
            for own in products
        ]
        return np.stack(weights)

    def _of_categories(
        self, columns: np.ndarray, known: list[np.ndarray], truth: np.ndarray, given: np.ndarray
    ) -> np.ndarray:
        chances = [self._true_chances(j, rows, truth, given) for j, rows in zip(columns.tolist(), known, strict=True)]
        counts = [self._counts[rows] for rows in known]
        even = np.full(len(given), 1.0 / len(given))
        common = _likeliest(np.concatenate(chances, axis=1), np.concatenate(counts), even, 1e-9)
        pairs = zip(chances, counts, strict=True)
        return np.stack([_likeliest(own, times, common + 1e-6, _PRIOR_CELLS) for own, times in pairs])

    def known(self, column: int, truth: np.ndarray) -> np.ndarray:
        """Return the rows in which a column's value was held out."""
        return ~np.isnan(truth[:, self.cells.first[column]])

    def _true_chances(self, column: int, rows: np.ndarray, truth: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return how likely each model thought the true levels, (n_models, n_rows)."""
        part = slice(self.cells.first[column], self.cells.first[column] + self.cells.widths[column])
        chances = np.clip(given[:, rows, part], _LEAST_CHANCE, None)
        return (truth[rows, part] * chances).sum(axis=2) / chances.sum(axis=2)

    # -- what it brought --------------------------------------------------------------------------------

    def _make_account(
        self, truth: np.ndarray, given: np.ndarray, names: Sequence[str], parts: Sequence[str]
    ) -> Account:
        joined = self(list(given[self.used]))
        errors = np.array([self._errors(truth, one) for one in (*given[self.used], joined, given[0])]).T
        n_cells = np.array([self.known(j, truth).sum() for j in range(len(self.cells.n_levels))])
        used = [parts[i] for i in self.used]
        return Account(list(names), used, self.weights, n_cells, errors[:, :-2], errors[:, -2], errors[:, -1])

    def _errors(self, truth: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Return each column's error: of numbers root mean squared, of categories minus the mean log-probability."""
        errors = np.full(len(self.cells.n_levels), np.nan)
        for j in range(len(errors)):
            rows = self.known(j, truth)
            if not rows.any():
                continue
            if self.cells.is_coded[j]:
                missed = -np.log(self._true_chances(j, rows, truth, cells[None]))[0]
                errors[j] = np.average(missed, weights=self._counts[rows])
            else:
                place = self.cells.first[j]
                missed = (cells[rows, place] - truth[rows, place]) ** 2
                errors[j] = np.sqrt(np.average(missed, weights=self._counts[rows]))
        return errors


def energy_weights(
    cells: Cells,
    truth: np.ndarray,
    draws: Sequence[np.ndarray],
    sizes: np.ndarray,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Return weights of models to draw from: those whose mixture has the least energy score on held-out cells.

    The score of a distribution for a value y is E|X - y| - E|X - X'| / 2 (Gneiting and Raftery, JASA 102:359, 2007),
    least for the true distribution; two levels lie 1 apart. Unlike squared errors it does not reward models that are
    right in the mean, and draw values that there are not. Of models that are not worse than the best by more than a
    standard error, those of the least size are taken: of few rows, larger ones are noise.

    Parameters
    ----------
    cells : Cells
    truth : ndarray of shape (n_samples, n_columns)
        Numbers, in standard deviations, and codes that were held out; NaN elsewhere.
    draws : sequence of ndarray of shape (n_draws, n_samples, n_columns)
        Of each model.
    sizes : ndarray of shape (n_models,)
    counts : ndarray of shape (n_samples,) or None, default=None
        How much each row counts; None: all alike.

    Returns
    -------
    weights : ndarray of shape (n_models,)
    """
    if (~np.isnan(truth)).sum() < _LEAST_CELLS:
        return np.eye(len(draws))[0]
    missed, apart = _distances(cells, truth, draws, counts)
    scores = missed - 0.5 * np.diagonal(apart).T
    worse = scores - scores[scores.mean(axis=1).argmin()]
    as_good = worse.mean(axis=1) <= worse.std(axis=1) / np.sqrt(scores.shape[1])
    # a table is drawn from one model: none is to be far worse than the best, whatever it adds to a mixture
    as_good &= scores.mean(axis=1) <= _MOST_SCORE * scores.mean(axis=1).min()
    weights = (as_good & (sizes == sizes[as_good].min())).astype(np.float64)
    weights /= weights.sum()
    missed, apart = missed.mean(axis=-1), apart.mean(axis=-1)
    for _ in range(_N_STEPS):
        loss = missed - apart @ weights
        weights = weights * np.exp(
            -_STEP * (loss - loss[weights > 0].min())
        )  # one of them stays, however large all are
        weights /= weights.sum()
    return np.where(weights < _LEAST_WEIGHT, 0.0, weights) / weights[weights >= _LEAST_WEIGHT].sum()


def energy_score(cells: Cells, truth: np.ndarray, draws: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Return the mean energy score of draws, as `energy_weights` has it; 0 where too few cells were held out."""
    if (~np.isnan(truth)).sum() < _LEAST_CELLS:
        return 0.0
    missed, apart = _distances(cells, truth, [draws], counts)
    return float((missed[0] - 0.5 * apart[0, 0]).mean())


def _distances(
    cells: Cells, truth: np.ndarray, draws: Sequence[np.ndarray], counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each model's mean distance to true values, (n_models, n_cells), and to each model, (..., n_cells).

    Times how much each cell counts, so that means over cells are weighted.
    """
    rows, columns = np.nonzero(~np.isnan(truth))
    coded, values = cells.is_coded[columns], [one[:, rows, columns] for one in draws]

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.mean(np.where(coded, a != b, np.abs(a - b)), axis=0)

    missed = np.array([distance(one, truth[rows, columns]) for one in values])
    # a draw is compared with the other models' draws, and with its own model's others
    turned = [np.roll(one, 1, axis=0) for one in values]
    apart = np.array([[distance(one, other) for other in turned] for one in values])
    apart = 0.5 * (apart + apart.swapaxes(0, 1))
    if counts is None:
        return missed, apart
    times = counts[rows] / counts[rows].mean()
    return missed * times, apart * times


def _least_squares(products: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Return weights w >= 0 of sum 1 for which w'Gw - 2 w'h is least, of products G and a pull h."""
    n = len(pull)
    scale = np.trace(products) / n + 1e-12
    matrix = products / scale + 1e-6 * np.eye(n)
    # the sum is held to 1 by a heavy equation of its own
    root = np.linalg.cholesky(matrix + 1e4)
    weights, _ = nnls(root.T, np.linalg.solve(root, pull / scale + 1e4))
    return weights / max(weights.sum(), 1e-12)


def _likeliest(chances: np.ndarray, counts: np.ndarray, prior: np.ndarray, n_prior: float) -> np.ndarray:
    """Return the weights of a mixture of models that makes true levels likeliest, by expectation maximisation.

    ``counts`` say how much each of the levels counts.
    """
    weights = prior / prior.sum()
    for _ in range(_EM_ITERATIONS):
        shares = chances * weights[:, None]
        shares /= np.maximum(shares.sum(axis=0), 1e-12)
        shares *= counts
        weights = shares.sum(axis=1) + n_prior * prior / prior.sum()
        weights /= weights.sum()
    return weights
