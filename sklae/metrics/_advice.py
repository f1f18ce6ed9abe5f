"""Symptoms, what they mean, and what to try: one row of a table each."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

from sklae.metrics._baselines import INDEPENDENT

__all__ = ["Finding", "find"]

#: Nats per row from which a loss is worth acting on; the score itself is exact to about 0.1.
_WORTH = 0.5
#: Nats per row and column by which a fit may fall short of its training rows.
_OVERFIT = 0.05


class Finding(NamedTuple):
    """Something to say about a model, and what to try; nothing to try if all is well."""

    name: str
    text: str
    remedies: tuple[str, ...]


class _Rule(NamedTuple):
    name: str
    applies: Callable[[Any], bool]
    text: str  # a format string; d is the diagnosis
    remedies: tuple[str, ...] = ()


def find(diagnosis: Any) -> tuple[Finding, ...]:
    """Return what applies, in the order of the table."""
    return tuple(
        Finding(rule.name, rule.text.format(d=diagnosis), tuple(text.format(d=diagnosis) for text in rule.remedies))
        for rule in _RULES
        if rule.applies(diagnosis)
    )


def _is_structureless(d: Any) -> bool:
    """Whether neither a linear model nor this one does better than independent columns."""
    return d.best_baseline == INDEPENDENT and not _beats(d)


def _is_collapsed(d: Any) -> bool:
    return d.n_informative == 0 and not _is_structureless(d)


def _tells(d: Any) -> bool:
    return d.n_informative > 0 and not _is_structureless(d)


def _beats(d: Any) -> bool:
    return d.lead is not None and d.lead.verdict > 0


def _ties(d: Any) -> bool:
    return d.lead is not None and d.lead.verdict == 0


def _loses(d: Any) -> bool:
    return d.lead is not None and d.lead.verdict < 0


def _overfits(d: Any) -> bool:
    gap = d.overfit
    return gap is not None and gap.value > max(_WORTH, _OVERFIT * d.n_features, 2.0 * gap.standard_error)


_LINEAR = "{d.lead.difference:+.2f} nats per row, with a standard error of {d.lead.standard_error:.2f}."
_SHRINK = "a smaller network: hidden_layer_sizes=(32,), or () for an affine one"
_LONGER = 'more epochs: max_iter=500, or learning_rate="one_cycle"'

_RULES = (
    _Rule(
        "out of reach",
        lambda d: not isfinite(d.score.value),
        "Some rows lie so far out that the model gives them no density at all; means are infinite.",
        ("a look at the rows where score_samples is -inf: wrong units, or codes for missing values?",),
    ),
    _Rule(
        "structureless",
        _is_structureless,
        "Neither this model nor a linear one does better than taking the columns as independent: the data may have no "
        "structure, and the code has nothing to tell.",
        ("more rows", "other columns: an autoencoder can't compress what does not hang together"),
    ),
    _Rule(
        "collapse",
        _is_collapsed,
        "The posterior has collapsed: the code says nothing about the row ({d.rate:.2f} nats), every row is decoded to "
        "the same thing.",
        (
            "free_bits=0.1: a component costs nothing until it carries as much",
            "beta=LinearWarmup(): the KL term grows in while the decoder learns to use the code",
            "beta=1, if it is larger",
            "a smaller decoder, which needs the code, or fewer components",
            "a learned scale, if the likelihood has a fixed one that exceeds what there is to explain",
        ),
    ),
    _Rule(
        "missed structure",
        lambda d: _is_collapsed(d) and _loses(d),
        "There is something to tell. Compared with {d.best_baseline}, the model stands at " + _LINEAR,
    ),
    _Rule(
        "idle components",
        lambda d: _tells(d) and d.n_informative < d.n_components,
        "{d.n_informative} of {d.n_components} components carry information. The others are idle; they do no harm.",
        (
            "n_components={d.n_informative}, which gives the same model with less",
            "free_bits=0.1 or beta=LinearWarmup(), if you expect more factors in the data than that",
        ),
    ),
    _Rule(
        "full code",
        lambda d: _tells(d) and d.n_informative == d.n_components,
        "Every component carries information.",
    ),
    _Rule(
        "poor posterior",
        lambda d: d.gap > _WORTH,
        "The score is {d.gap:.2f} nats below the log-likelihood: the encoder's posterior is far from the true one. The "
        "model is better than its score, and its codes are worse than they could be.",
        (
            'posterior="full_covariance" or "iaf"',
            "n_importance_samples=10 in training",
            "a wider encoder",
            _LONGER,
        ),
    ),
    _Rule(
        "prior mismatch",
        lambda d: d.least_marginal_kl > _WORTH,
        "The codes of all rows together are {d.least_marginal_kl:.2f} to {d.marginal_kl.value:.2f} nats from the "
        "prior: samples from the prior will look unlike the data. A prior that fits would raise the score by as much.",
        (
            'prior="gaussian_mixture", "vamp" or "flow"',
            'sample_from="aggregate", if only samples matter: they then start from codes as they are',
        ),
    ),
    _Rule(
        "too few rows",
        lambda d: d.least_marginal_kl <= _WORTH < d.marginal_kl.value,
        "Whether the codes match the prior can't be told from {d.n_samples} rows: the marginal KL is between "
        "{d.least_marginal_kl:.2f} and {d.marginal_kl.value:.2f} nats.",
        ("more rows in X, with a larger max_samples",),
    ),
    _Rule(
        "matching prior",
        lambda d: _tells(d) and d.marginal_kl.value <= _WORTH,
        "The codes of all rows together match the prior, to {d.marginal_kl.value:.2f} nats.",
    ),
    _Rule(
        "loses",
        lambda d: _tells(d) and _loses(d),
        "The model loses to {d.best_baseline}, which fits in a second: " + _LINEAR,
        (
            _LONGER,
            'likelihood=Gaussian("per_feature"), if columns are noisy to unlike degrees',
            _SHRINK,
            "early_stopping=True, on many rows",
            "{d.best_baseline} itself, simpler and exact",
        ),
    ),
    _Rule(
        "ties",
        lambda d: _tells(d) and _ties(d),
        "The model is no better than {d.best_baseline}: " + _LINEAR,
        ("{d.best_baseline} itself, simpler and exact", "more rows: what is not linear takes many to learn", _LONGER),
    ),
    _Rule(
        "wins",
        _beats,
        "The model beats {d.best_baseline}: " + _LINEAR,
    ),
    _Rule(
        "overfit",
        _overfits,
        "Training rows score {d.overfit.value:.2f} nats higher than these: the model has learned some by heart.",
        ("early_stopping=True", 'weight_decay=1e-2 with solver="adamw"', _SHRINK, "more rows"),
    ),
)
