"""A report on a fitted variational autoencoder, in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import resample

from sklae._tables.annotations import TableLike
from sklae.metrics._advice import Finding, find
from sklae.metrics._baselines import Comparison, IncomparableError, compare
from sklae.metrics._checks import check_count, fitted, generator_for
from sklae.metrics._information import Estimate, active_units, mean_and_error, rates

if TYPE_CHECKING:
    from sklae import AutoencoderTransformer, VAETransformer

__all__ = ["Diagnosis", "diagnose"]

_N_CODES = 2_000
_N_RANKED = 10
_LEAST_NATS = 0.05
# Variance over rows of a component's posterior mean above which it is active.
_ACTIVE = 0.01


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` found. ``print`` it; in a notebook, it shows itself.

    All figures are in nats per row, densities in the units of the table.

    Attributes
    ----------
    model : str
        The estimator's class.
    n_samples, n_features, n_components : int
        Rows and columns examined, width of the code.
    score : Estimate
        Mean and standard error over rows of `score_samples`, the lower bound of the log-likelihood.
    log_likelihood : Estimate
        The same of the importance-sampled log-likelihood.
    rate : float
        Mean KL of posterior and prior: what a code tells.
    distortion : float
        Minus the mean log-density of a row given its code; ``score = -(rate + distortion)`` (Alemi et al., arXiv
        1711.00464).
    mutual_information, marginal_kl : Estimate
        The two parts of the rate; see the functions of these names.
    least_marginal_kl : float
        A lower bound of the marginal KL of infinitely many such rows, where `marginal_kl` is an upper one: each code is
        compared with the posteriors of the other rows only. At least 0.
    active_units : int
        Components whose codes move from row to row.
    code_variances : ndarray of shape (n_components,)
        Variance over rows of the posterior means.
    kl_per_component : ndarray of shape (n_components,) or (1,)
        Mean KL by component; the total where it does not divide.
    baselines : dict of str to Comparison
        What independent columns, probabilistic PCA and factor analysis of the same rows reach, and by how much the
        model's log-likelihood is higher: ``(score, difference, standard_error)``.
    not_compared : str
        Why there are no baselines, or "".
    overfit : Estimate or None
        By how much training rows score higher; None without ``X_train``.
    """

    model: str
    n_samples: int
    n_features: int
    n_components: int
    score: Estimate
    log_likelihood: Estimate
    rate: float
    mutual_information: Estimate
    marginal_kl: Estimate
    least_marginal_kl: float
    active_units: int
    code_variances: np.ndarray
    kl_per_component: np.ndarray
    baselines: dict[str, Comparison] = field(default_factory=dict)
    not_compared: str = ""
    overfit: Estimate | None = None

    @property
    def distortion(self) -> float:
        """What decoding loses, in nats per row: minus the score and the rate."""
        return -(self.score.value + self.rate)

    @property
    def gap(self) -> float:
        """Log-likelihood minus score: the mean KL of posterior and true posterior, or a little less."""
        return self.log_likelihood.value - self.score.value

    @property
    def best_baseline(self) -> str:
        """Name of the baseline with the highest score; "" if there is none."""
        return max(self.baselines, key=lambda name: self.baselines[name].score, default="")

    @property
    def lead(self) -> Comparison | None:
        """The comparison with the best baseline, if there is one."""
        return self.baselines.get(self.best_baseline)

    @property
    def n_informative(self) -> int:
        """Number of active components that carry at least 0.05 nats; of active ones, where the KL does not divide.

        Both: free bits may fill a component's KL with a shift that is the same for all rows, and tells nothing.
        """
        if not self._divides:
            return self.active_units
        return int(((self.kl_per_component >= _LEAST_NATS) & (self.code_variances > _ACTIVE)).sum())

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the figures mean, each as ``(name, text, remedies)``; without remedies where all is well."""
        return find(self)

    def ranking(self) -> list[tuple[int, float]]:
        """Return (component, nats), the most telling first; (component, code variance) where the KL does not divide."""
        figures = self.kl_per_component if self._divides else self.code_variances
        return [(int(place), float(figures[place])) for place in np.argsort(-figures, kind="stable")]

    @property
    def _divides(self) -> bool:
        return len(self.kl_per_component) == self.n_components

    def _figures(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the table: what, and how much."""
        yield "score (lower bound)", _with_error(self.score)
        yield "log-likelihood (importance-sampled)", _with_error(self.log_likelihood)
        for name, baseline in self.baselines.items():
            yield f"  of {name}", f"{baseline.score:.2f}"
        if self.not_compared:
            yield "  of linear models", f"not compared: {self.not_compared}"
        yield "rate: what a code tells", f"{self.rate:.2f}"
        yield (
            "  mutual information of row and code",
            f"{_with_error(self.mutual_information)}, log n = {self._most:.2f}",
        )
        yield "  marginal KL: codes from prior", _with_error(self.marginal_kl)
        yield "distortion: what it leaves out", f"{self.distortion:.2f}"
        if self.overfit is not None:
            yield "training rows score higher by", _with_error(self.overfit)
        ranked = ", ".join(f"{place}: {value:.2f}" for place, value in self.ranking()[:_N_RANKED])
        more = ", ..." if self.n_components > _N_RANKED else ""
        yield ("nats" if self._divides else "variance of codes") + " by component", ranked + more

    @property
    def _most(self) -> float:
        return float(np.log(self.n_samples))

    @property
    def _title(self) -> str:
        return f"{self.model} with {self.n_components} components, on {self.n_samples:,} rows; nats per row"

    def __str__(self) -> str:
        lines = [self._title, ""]
        lines += [f"  {name:<38}{value}" for name, value in self._figures()]
        for finding in self.findings:
            lines += ["", *textwrap.wrap(finding.text, 100)]
            lines += [f"  - {remedy}" for remedy in finding.remedies]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(name).replace('  ', '&emsp;')}</td><td>{escape(value)}</td></tr>"
            for name, value in self._figures()
        )
        texts = "".join(f"<p>{escape(finding.text)}</p>" + _html_list(finding.remedies) for finding in self.findings)
        return f"<p><b>{escape(self._title)}</b></p><table>{rows}</table>{texts}"


def diagnose(
    estimator: AutoencoderTransformer | VAETransformer | Pipeline,
    X: TableLike,
    X_train: TableLike | None = None,
    *,
    n_importance_samples: int = 500,
    max_samples: int = 2_000,
    random_state: int | np.random.RandomState | None = None,
) -> Diagnosis:
    """Examine a fitted variational autoencoder, and say in words what is wrong with it and what to try.

    Has the posterior collapsed? Which components carry information? Do samples from the prior look like the data? Is
    the encoder good enough? Does the model beat linear ones? Does it overfit?

    Parameters
    ----------
    estimator : VAETransformer
        Fitted; or a pipeline that ends in one: densities are then in the units of its last step.
    X : array-like or frame of shape (n_samples, n_features)
        Rows that `fit` has not seen.
    X_train : array-like or frame of shape (n_train_samples, n_features), default=None
        The rows of `fit`: linear models are fitted on them, and the model's score on them shows overfitting. Without
        it, linear models are fitted on each half of X to score the other, a handicap for them.
    n_importance_samples : int, default=500
        Codes per row for the log-likelihood.
    max_samples : int, default=2000
        Of more rows, a random subset of so many is examined; time grows with its square.
    random_state : int, RandomState instance or None, default=None
        For the subset, and for draws of codes.

    Returns
    -------
    diagnosis : Diagnosis
        ``print(diagnosis)`` for the report; the figures are attributes, ``diagnosis.findings`` what they mean.

    Notes
    -----
    The linear models are scikit-learn's `FactorAnalysis` and `PCA` (as probabilistic PCA) with as many components, and
    independent normal columns, all on standardised columns, as densities in the units of X. They are compared where the
    likelihood is a density of real numbers (Gaussian, not Bernoulli or counts), there are no conditions and no gaps.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.metrics import diagnose
    >>> X = load_wine().data
    >>> vae = VAETransformer(2, learning_rate="one_cycle", max_iter=50, random_state=0).fit(
    ...     X[::2]
    ... )
    >>> diagnosis = diagnose(vae, X[1::2], X_train=X[::2], random_state=0)
    >>> diagnosis.active_units, diagnosis.best_baseline
    (2, 'factor analysis')
    """
    check_count(n_importance_samples, "n_importance_samples")
    check_count(max_samples, "max_samples", least=4)
    model, rows = fitted(estimator, X, "posterior_kl", "posterior_log_prob", "sample_posterior", "prior_log_prob")
    rng = generator_for(random_state)
    rows = _subset(rows, max_samples, rng)
    n_rows = _n_rows(rows)
    if n_rows < 4:
        raise ValueError(
            f"Got {n_rows} rows; expected at least 4, to compare codes with each other. Pass more of them."
        )
    train = None if X_train is None else fitted(estimator, X_train)[1]
    scores = model.score_samples(rows, n_importance_samples=1)
    log_likelihood = model.score_samples(rows, n_importance_samples=n_importance_samples)
    parts = rates(model, rows, max(1, _N_CODES // n_rows), rng)
    kl = np.asarray(model.posterior_kl(rows), dtype=np.float64).mean(axis=0)
    # typed by hand: what it returns depends on the flag
    found: Any = active_units(model, rows, return_variances=True)
    n_active, variances = found
    baselines, reason = _compare(model, rows, train, log_likelihood, int(rng.randint(2**31 - 1)))
    return Diagnosis(
        model=type(model).__name__,
        n_samples=n_rows,
        n_features=np.shape(rows)[1],
        n_components=len(variances),
        score=Estimate(*mean_and_error(scores)),
        log_likelihood=Estimate(*mean_and_error(log_likelihood)),
        rate=float(kl.sum()),
        mutual_information=parts.mutual_information,
        marginal_kl=parts.marginal_kl,
        least_marginal_kl=parts.least_marginal_kl,
        active_units=n_active,
        code_variances=variances,
        kl_per_component=kl,
        baselines=baselines,
        not_compared=reason,
        overfit=None if train is None else _overfit(model, _subset(train, max_samples, rng), scores),
    )


def _n_rows(X: Any) -> int:
    return int(np.shape(X)[0])


def _subset(X: Any, max_samples: int, rng: np.random.RandomState) -> Any:
    return resample(X, replace=False, n_samples=max_samples, random_state=rng) if _n_rows(X) > max_samples else X


def _compare(
    model: Any, rows: Any, train: Any, log_likelihood: np.ndarray, seed: int
) -> tuple[dict[str, Comparison], str]:
    """Return the comparisons, or why there are none."""
    try:
        return compare(model, rows, train, log_likelihood, seed), ""
    except IncomparableError as reason:
        return {}, str(reason)


def _overfit(model: Any, train: Any, scores: np.ndarray) -> Estimate:
    (seen, seen_error) = mean_and_error(model.score_samples(train, n_importance_samples=1))
    (new, new_error) = mean_and_error(scores)
    return Estimate(seen - new, float(np.hypot(seen_error, new_error)))


def _with_error(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ± {estimate.standard_error:.2f}"


def _html_list(remedies: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{escape(remedy)}</li>" for remedy in remedies) + "</ul>" if remedies else ""
