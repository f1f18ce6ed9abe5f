"""One case: a table, an estimator, a fit, and its verbs on hostile rows, each beside what is known to be right."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.robustness._drawing import draw_table
from benchmarks.robustness._filling import check_filled
from benchmarks.robustness._hostile import NewRows, draw_hostile, draw_rows
from benchmarks.robustness._settings import draw_estimator
from benchmarks.robustness._tables import Spec, pick
from benchmarks.robustness._verdicts import KINDS, REFUSED, Finding, Watch, cells, fingerprint, is_gap, time_limit
from sklae import AEImputer, AEOutlierDetector

__all__ = ["Case", "run_case"]


@dataclass
class Case:
    """What was run, and what was found."""

    number: int
    estimator: Any
    spec: Spec
    findings: list[Finding]
    hostile: list[str]

    @property
    def kind(self) -> str:
        """The worst that was found; "refused" where there was no fit."""
        worst = max((f.kind for f in self.findings), key=KINDS.index, default="fine")
        fitted = all(f.kind == "fine" for f in self.findings if f.verb == "fit")
        return "fine" if worst == "refused" and fitted else worst


def run_case(seed: int, number: int) -> Case:
    """Run one case; it depends on nothing but seed and number."""
    rng = np.random.default_rng([seed, number])
    spec = draw_table(rng)
    estimator = draw_estimator(rng, spec)
    watch = Watch()
    case = Case(number, clone(estimator), spec, watch.findings, [])
    with time_limit(watch), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of calls that are compared with; the others' are counted
        try:
            _Run(rng, spec, estimator, watch, case.hostile).run()
        except Exception as error:
            watch.broke(error)
    return case


def _single(spec: Spec) -> bool:
    """Whether a table is computed with in float32."""
    return "float32" in str(getattr(spec.build(), "dtype", "")) or any(
        "float32" in dtype.lower() for column in spec.columns for dtype in column.dtype.values()
    )


def _apart(a: Any, b: Any) -> float:
    """Return how far two results are apart, in units of the larger of 1 and a row's largest number."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        return np.inf
    if not a.size:
        return 0.0
    size = np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)).reshape(len(a), -1).max(axis=1))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b).reshape(len(a), -1).max(axis=1) / size
    return float(np.nan_to_num(gap, nan=0.0).max())


class _Run:
    def __init__(self, rng: np.random.Generator, spec: Spec, estimator: Any, watch: Watch, hostile: list[str]):
        self.rng, self.spec, self.estimator, self.watch = rng, spec, estimator, watch
        self.hostile = hostile

    def run(self) -> None:
        X = self.spec.build()
        parameters = repr(self.estimator)
        before = dict(vars(self.estimator))
        fitted = self.watch.call("fit", self.estimator.fit, X)
        self.watch.right("fit", repr(self.estimator) == parameters, "fit changed parameters")
        if fitted is REFUSED:
            self.check_unchanged("fit", before)
            return
        for number in range(3):
            rows = draw_hostile(self.rng, self.spec) if number else draw_rows(self.rng, self.spec)
            self.hostile.append(rows.name)
            self.meet(rows)
        self.repeat(X)
        self.after()

    # -- verbs ----------------------------------------------------------------------------------------------

    def meet(self, rows: NewRows) -> None:
        """Call verbs on new rows."""
        X = rows.build()
        if isinstance(self.estimator, AEImputer):
            verbs: dict[str, Callable[..., None]] = {"transform": self.fill}
        elif isinstance(self.estimator, AEOutlierDetector):
            verbs = {"decide": self.decide, "transform": self.encode, "explain": self.explain}
        else:
            verbs = {"transform": self.encode, "score": self.score, "reconstruct": self.reconstruct, "more": self.more}
        answers = {name: verb(rows, X) for name, verb in verbs.items()}
        # an infinite level is a level that was not seen
        if (
            rows.refused
            and rows.at not in self.coded()
            and any(answer is not None and answer is not REFUSED for answer in answers.values())
        ):
            self.watch.say("silent wrong", "transform", f"rows to refuse were taken: {rows.name}")

    def encode(self, rows: NewRows, X: Any) -> Any:
        codes = self.watch.call("transform", self.estimator.transform, X)
        if codes is REFUSED:
            return codes
        self.watch.finite("transform", codes, detail=rows.name)
        model = getattr(self.estimator, "autoencoder_", self.estimator)
        n_rows = rows.spec.n_rows
        self.watch.right("transform", codes.shape == (n_rows, model.n_components_), "shape of codes", str(codes.shape))
        if isinstance(X, np.ndarray) and X.dtype in (np.float32, np.float64):
            self.watch.right("transform", codes.dtype == X.dtype, "dtype of codes", f"{X.dtype} -> {codes.dtype}")
        self.alone("transform", self.estimator.transform, rows, codes)
        self.drift("transform", self.estimator.transform, rows, codes)
        return codes

    def score(self, rows: NewRows, X: Any) -> Any:
        if not hasattr(self.estimator, "score_samples"):
            return None
        scores = self.watch.call("score_samples", self.estimator.score_samples, X)
        if scores is REFUSED:
            return scores
        self.watch.finite("score_samples", scores, detail=rows.name)
        self.watch.right(
            "score_samples",
            scores.shape == (rows.spec.n_rows,) and scores.dtype == np.float64,
            "shape or dtype of scores",
        )
        self.alone("score_samples", self.estimator.score_samples, rows, scores)
        self.drift("score_samples", self.estimator.score_samples, rows, scores)
        return scores

    def decide(self, rows: NewRows, X: Any) -> Any:
        scores = self.score(rows, X)
        if scores is REFUSED:
            return scores
        decisions = self.watch.call("decision_function", self.estimator.decision_function, X)
        labels = self.watch.call("predict", self.estimator.predict, X)
        p_values = self.watch.call("p_values", self.estimator.p_values, X)
        if any(answer is REFUSED for answer in (decisions, labels, p_values)):
            return scores
        below = scores < self.estimator.offset_
        self.watch.right("predict", np.array_equal(labels == -1, below), "predict is not score below offset")
        self.watch.right(
            "decision_function",
            np.array_equal(decisions, scores - self.estimator.offset_),
            "decision is not score - offset",
        )
        self.watch.finite("p_values", p_values, detail=rows.name)
        self.watch.right("p_values", bool(np.all((p_values > 0) & (p_values <= 1))), "p-values outside of (0, 1]")
        return scores

    def explain(self, rows: NewRows, X: Any) -> Any:
        if rows.spec.n_rows > 9 or len(rows.spec.columns) > 16:
            return None
        method = pick(self.rng, ("repair", "additive"))
        verb = f"explain {method}"
        found = self.watch.call(verb, lambda X: self.estimator.explain(X, method=method, return_expected=True), X)
        if found is REFUSED:
            return found
        parts, expected = found
        self.watch.finite(verb, parts, detail=rows.name)
        skip = self.conditions()
        self.watch.finite(f"{verb}, expected", expected, skip, detail=rows.name)
        scores = self.estimator.score_samples(X)
        total = np.array(cells(parts), dtype=np.float64).sum(axis=0)
        self.watch.right(verb, _apart(total, -scores) < 1e-6, "parts do not add up to the anomaly", rows.name)
        return parts

    def reconstruct(self, rows: NewRows, X: Any) -> Any:
        rebuilt = self.watch.call("reconstruct", self.estimator.reconstruct, X)
        if rebuilt is not REFUSED:
            self.watch.finite("reconstruct", rebuilt, self.conditions(), detail=rows.name)
            self.as_fitted("reconstruct", rebuilt, rows.spec.n_rows)
        return rebuilt

    def fill(self, rows: NewRows, X: Any) -> Any:
        filled = self.watch.call("transform", self.estimator.transform, X)
        if filled is REFUSED:
            return filled
        check_filled(self.watch, self.estimator, self.spec.build(), X, filled, rows.name)
        if self.estimator.autoencoder is None and self.estimator.n_imputations == 1:
            first = 0 if self.estimator.sample_posterior else None  # draws of a row's copies differ
            self.alone("transform", lambda X: _numbers(self.estimator.transform(X)), rows, _numbers(filled), first)
        return filled

    def more(self, rows: NewRows, X: Any) -> Any:
        """Call some of the other verbs of transformers."""
        fitted, rng, n_rows = self.estimator, self.rng, rows.spec.n_rows
        calls: dict[str, tuple[Callable[[Any], Any], int]] = {
            "interpolate": (lambda X: fitted.interpolate(X, X, n_steps=2), 2 * n_rows),
            "interpolate spherical": (lambda X: fitted.interpolate(X, X, n_steps=3, method="spherical"), 3 * n_rows),
        }
        if hasattr(fitted, "encode"):
            calls |= {
                "encode": (fitted.encode, n_rows),
                "traverse": (lambda X: fitted.traverse(X, 0, [-1.0, 1e3]), 2 * n_rows),
                "vary": (lambda X: fitted.vary(X, n_samples=2, random_state=0), 2 * n_rows),
                "sample_posterior": (lambda X: fitted.sample_posterior(X, 2, random_state=0), 2),
            }
        if hasattr(fitted, "posterior_kl"):
            calls |= {
                "posterior_kl": (fitted.posterior_kl, n_rows),
                "score_samples, 1 draw": (lambda X: fitted.score_samples(X, 1), n_rows),
                "score_samples given": (lambda X: fitted.score_samples(X, given=[int(rng.integers(3))]), n_rows),
                "posterior_log_prob": (lambda X: fitted.posterior_log_prob(np.zeros((3, fitted.n_components_)), X), 3),
            }
        verb = pick(rng, list(calls))
        function, length = calls[verb]
        result = self.watch.call(verb, function, X)
        if result is REFUSED:
            return None if "given" in verb else result
        in_data_space = verb.split()[0] in ("interpolate", "traverse", "vary")
        self.watch.finite(verb, result, self.conditions() if in_data_space else (), detail=rows.name)
        first = result[0] if isinstance(result, tuple) else result
        self.watch.right(verb, len(first) == length, "number of rows", f"{len(first)}, not {length}")
        return result

    # -- after all rows --------------------------------------------------------------------------------------

    def after(self) -> None:
        """Call the verbs that take no rows, and fit again to something hostile."""
        fitted, rng = self.estimator, self.rng
        if hasattr(fitted, "inverse_transform") and hasattr(fitted, "n_components_"):
            codes = pick(
                rng, (np.zeros((2, fitted.n_components_)), np.full((1, fitted.n_components_), 1e6), np.zeros((1, 99)))
            )
            self.decode("inverse_transform", lambda codes, **given: fitted.inverse_transform(codes, **given), codes)
        if hasattr(fitted, "sample"):
            self.decode("sample", lambda n, **given: fitted.sample(n, random_state=0, **given), 4)
            if hasattr(fitted, "encode") and not self.conditions():
                row = self.spec.take([0])
                name = row.columns[0].name if row.is_frame else 0
                known = {name: row.columns[0].values}
                drawn = self.watch.call("sample given", lambda: fitted.sample(2, random_state=0, condition=known))
                self.watch.finite("sample given", drawn)
        names = self.watch.call("get_feature_names_out", fitted.get_feature_names_out)
        if names is not REFUSED and hasattr(fitted, "n_components_"):
            self.watch.right("get_feature_names_out", len(names) == fitted.n_components_, "number of names")
        if isinstance(fitted, AEOutlierDetector):
            self.watch.right("labels_", len(fitted.labels_) == self.spec.n_rows, "number of labels")
        if rng.random() < 0.4:
            rows = draw_hostile(rng, self.spec)
            X = rows.build()
            before = dict(vars(fitted))
            verb = "partial_fit" if hasattr(fitted, "partial_fit") and rng.random() < 0.5 else "fit again"
            function = fitted.partial_fit if verb == "partial_fit" else fitted.fit
            if self.watch.call(verb, function, X) is REFUSED:
                self.check_unchanged(verb, before)

    def decode(self, verb: str, function: Callable[..., Any], argument: Any) -> None:
        columns = self.conditions()
        if not columns:
            rows = self.watch.call(verb, lambda: function(argument))
        else:
            values = {self._name(i): [self._value(i)] for i in columns}
            rows = self.watch.call(verb, lambda: function(argument, condition=values))
        if rows is not REFUSED:
            self.watch.finite(verb, rows, columns)
            self.as_fitted(verb, rows, argument if isinstance(argument, int) else len(argument))

    def _name(self, position: int) -> str:
        return str(self.spec.columns[position].name) if self.spec.container in ("pandas", "polars") else str(position)

    def _value(self, position: int) -> Any:
        known = [value for value in cells(self.spec.build())[position] if not is_gap(value)]
        return known[0] if known else None

    def conditions(self) -> tuple[int, ...]:
        layout = getattr(getattr(self.estimator, "autoencoder_", None) or self.estimator, "layout_", None)
        return () if layout is None else tuple(layout.columns.condition.tolist())

    def coded(self) -> tuple[int, ...]:
        """Return which columns are categories."""
        holder = (
            getattr(self.estimator, "_container", None)
            or getattr(self.estimator, "autoencoder_", self.estimator).layout_
        )
        return tuple(holder.columns.categories.levels)

    # -- what is right ----------------------------------------------------------------------------------------

    def check_unchanged(self, verb: str, before: dict[str, Any]) -> None:
        after = vars(self.estimator)
        same = before.keys() == after.keys() and all(before[name] is after[name] for name in before)
        self.watch.right(verb, same, "a refused fit changed the estimator")

    def alone(
        self, verb: str, function: Callable[[Any], Any], rows: NewRows, together: Any, row: int | None = None
    ) -> None:
        """Check that a row's result is the same without the others."""
        if rows.spec.n_rows < 2:
            return
        told = self.watch.warned  # where a column holds several types, that is said of the whole column
        limit = 1e-3 if _single(rows.spec) else 1e-6
        row = int(self.rng.integers(rows.spec.n_rows)) if row is None else row
        try:
            X = rows.build()  # a row of an array has the array's dtype
            alone = function(X[[row]] if isinstance(X, np.ndarray) else rows.spec.take([row]).build())
        except (ValueError, TypeError) as error:
            if told:
                return
            self.watch.say(
                "silent wrong", verb, "a row is refused alone and taken among others", f"{rows.name}: {error}"
            )
            return
        gap = _apart(np.asarray(together)[[row]], alone)
        self.watch.right(verb, gap <= limit, "a row's result depends on the rows beside it", f"{gap:.2g} {rows.name}")

    def drift(self, verb: str, function: Callable[[Any], Any], rows: NewRows, found: Any) -> None:
        """Check that values in another dress are not silently read as gaps."""
        if rows.plain is None or self.watch.warned:
            return
        dressed, bare = cells(rows.build()), cells(rows.plain.build())
        if any(dressed[i].count(None) > bare[i].count(None) for i in rows.drifted):  # values that its dtype can't hold
            return
        hidden = tuple(
            c.with_values([None] * rows.spec.n_rows) if i in rows.drifted else c
            for i, c in enumerate(rows.plain.columns)
        )
        try:
            plain, gaps = function(rows.plain.build()), function(replace(rows.plain, columns=hidden).build())
        except (ValueError, TypeError):
            return
        lost = _apart(found, gaps) < 1e-9 and _apart(plain, gaps) > 1e-6
        self.watch.right(verb, not lost, f"a column in another dress is read as gaps: {rows.name}")

    def as_fitted(self, verb: str, rows: Any, n_rows: int) -> None:
        """Check that rows are in the container, the columns, the dtypes and the levels that were fitted."""
        X = self.spec.build()
        if not self.spec.is_frame:
            self.watch.right(
                verb,
                type(rows) is np.ndarray and rows.shape == (n_rows, len(self.spec.columns)),
                "no array of the right shape",
            )
            return
        self.watch.right(verb, type(rows) is type(X) and len(rows) == n_rows, "another container, or number of rows")
        self.watch.right(verb, list(rows.columns) == list(X.columns), "other column names")
        coded = self.coded()  # likelihoods of numbers take booleans for 0 and 1
        for i, (column, own, back) in enumerate(zip(self.spec.columns, X.dtypes, rows.dtypes, strict=True)):
            known = cells(X)[i]
            kind = i in coded and column.kind != "number"
            if kind:
                new = set(cells(rows)[i]) - set(known)
                self.watch.right(
                    verb, not new - {None}, "levels that are none", f"{list(new)[:3]} of {column.name!r} ({own})"
                )
            whole = "int" in str(own).lower() and "interval" not in str(own).lower()
            if kind or whole or str(own) in ("float32", "float64", "Float32", "Float64"):
                sparse = "sparse" in str(own).lower()
                self.watch.right(
                    verb, sparse or str(own) == str(back), f"another dtype: {own} -> {back}", f"column {column.name!r}"
                )

    def repeat(self, X: Any) -> None:
        """Check that a copy of the fitted estimator, and another fit of the same, say the same."""
        verb = "score_samples" if isinstance(self.estimator, AEOutlierDetector) else "transform"
        answer = self.watch.call(f"{verb} of training rows", getattr(self.estimator, verb), X)
        if answer is REFUSED:
            self.watch.say("silent wrong", verb, "the table that was fitted is refused")
            return
        first = fingerprint(answer)
        copy = self.watch.call("pickle", lambda: pickle.loads(pickle.dumps(self.estimator)))
        if copy is not REFUSED:
            self.watch.right("pickle", fingerprint(getattr(copy, verb)(X)) == first, f"{verb} of a copy differs")
        if self.rng.random() < 0.3 and not self.estimator.get_params().get("warm_start"):
            again = self.watch.call("fit", clone(self.estimator).fit, X)
            same = again is not REFUSED and fingerprint(getattr(again, verb)(X)) == first
            self.watch.right("fit", same, "the same fit twice differs")


def _numbers(table: Any) -> np.ndarray:
    """Return a table's numbers, 0 elsewhere."""
    found = [[float(v) if isinstance(v, int | float) else 0.0 for v in column] for column in cells(table)]
    return np.array(found).T
