"""Outlier detection by reconstruction and by the nearest usual rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sklae._autoencoders.autoencoder import AutoencoderTransformer
from sklae._autoencoders.base import BaseAutoencoder
from sklae._autoencoders.training_rows import read_columns
from sklae._outliers.calibration import Calibration, KnownRows
from sklae._outliers.combination import Joint
from sklae._outliers.defaults import default_autoencoder
from sklae._outliers.ensemble import Ensemble, fit_left_out, fit_members, residual_scale, seed_members
from sklae._outliers.folds import hold_out, make_folds
from sklae._outliers.scores import EVIDENCE, Learned, OfAutoencoders
from sklae._outliers.spaces import PointSpace
from sklae._outliers.thresholds import Thresholder
from sklae._outliers.trimming import distrusted
from sklae._outliers.verbs import Detection
from sklae._tables.annotations import TableLike
from sklae._tables.columns import Columns
from sklae._tables.frames import rows_of
from sklae._tables.sources import RowSource
from sklae._tables.table import frame_of, read
from sklae._tables.validation import check_table
from sklae._tables.weights import RowWeights, weights_of
from sklae._utils.atomic import atomic
from sklae._utils.compat import HasMethods, Interval, RealNotInt, StrOptions, fit_context
from sklae._utils.estimator import Estimator
from sklae._utils.processes import agreed
from sklae._utils.progress import stage
from sklae._utils.random import draw_seed, random_state_for, resampled, some_rows
from sklae._utils.tasks import fit_task
from sklae._utils.torch_settings import tensors_on_cpu
from sklae._utils.warnings import warn
from sklae.sources._taken import what_fits

__all__ = ["AEOutlierDetector"]

# Chosen on half of the tables of benchmarks/outliers/detection.py: beside clean rows there is nothing to be robust to.
_COMBINED = ("neighbors", "mixture", "robust_covariance", "columns", "reconstruction")
_COMBINED_IF_CLEAN = ("neighbors", "mixture", "reconstruction")
# The others don't know of conditions.
_COMBINED_GIVEN_CONDITIONS = ("neighbors", "reconstruction")
# Rows that the default autoencoder is trained on, and that say what is usual; and rows to look for neighbours among.
_MOST_ROWS = 2**14
_MOST_REFERENCES = 2**11
# An epoch of the default autoencoder over fewer rows costs more than its steps.
_MANY_ROWS = 512
# Of tables with very many columns fewer rows say what is usual.
_MOST_ELEMENTS, _LEAST_ROWS = 2**22, 2**10


class AEOutlierDetector(Detection, Estimator):
    """Outlier detector: finds rows that are unlike the others, by several kinds of evidence at once.

    A row's anomaly joins how far it is from its nearest neighbours, how improbable it is under a mixture of normal
    distributions and under a normal one that outliers have little hold on, how far out its values lie, and how badly an
    autoencoder rebuilds it. Most of it is in closed form: what the network adds is that of tables whose columns go
    together in curves. Needs no labels, takes frames with categories and gaps as they are, and judges training rows as
    if each had been left out, so that thresholds mean on new rows what they mean on those that were fitted.

    Parameters
    ----------
    autoencoder : AutoencoderTransformer, VAETransformer or None, default=None
        The model to fit, cloned. None: 32 components behind 128 hidden units, inputs clipped to 3 standard
        deviations, trained by AdamW for about 300 steps of 64 rows, whatever the number of rows (50 steps for more than
        256 columns). With categories among the columns a plain autoencoder is trained to undo `Swap(0.3)`.
    anomaly_score : str or list of str, default="combined"
        What counts against a row.

        - "neighbors": mean distances to the 5 nearest training rows (Ramaswamy et al., SIGMOD 2000), of standardised
          columns, of uncorrelated ones and of normal scores; among all rows, and for three tenths of it among those
          that are trusted.
        - "mixture": minus the log-density of a mixture of four normal distributions.
        - "robust_covariance": the Mahalanobis distance from the inner three quarters of the rows.
        - "columns": how far out the values lie, each in the tail of its own column.
        - "reconstruction": the mean of the squared residuals of the autoencoder, each over the mean square of its
          column's usual ones (Hawkins et al., DaWaK 2002).
        - "elbo": minus the evidence lower bound, in nats; wants a `VAETransformer` (None makes one).

        A list joins several: each becomes its surprise, minus the log of the share of training rows at least as strange
        (beyond all of them by an extrapolated tail), and surprises are added, that of neighbours with a weight of 1 and
        others with .3. "combined" is all but the last; with ``support_fraction=1.0`` neighbours, mixture and
        reconstruction. "reconstruction" or "elbo" alone is taken as it is.
    n_estimators : int, default=1
        How many autoencoders, equal but for their seeds, to average the reconstructions of. They are trained in one
        batched pass where their parts allow it. More make scores depend a little less on the seed; on 22 tables they
        found no more outliers than one.
    support_fraction : "auto", float or None, default="auto"
        How much of the training rows to trust. "auto" leaves out those that look strange and whose neighbours look
        strange, too: none to a fifth of all. A float in (0.5, 1] trusts the share of the rows that looks least strange.
        1.0 says that the training data is clean: pass it where that is known, for it finds more then. None is "auto".
    cv : "auto", int or None, default="auto"
        In how many folds training rows are left out, to be judged by what was learned from the others; what judges new
        rows is learned from all. "auto": 5 folds, of more than 1,000 rows fewer, and 2 from 2,500 on. An autoencoder is
        fitted once more for each. None: training rows are judged by what was fitted to them, and a threshold flags more
        of new rows than of these.
    max_samples : "auto", int or float, default="auto"
        How many (or which share) of the training rows, drawn at random, to train on, to learn from what is usual, and
        to look for neighbours among. "auto": 16,384, 16,384 and 2,048, but an autoencoder of yours is trained on all.
        Scales of columns and the threshold are always those of all rows.
    contamination : "auto", float or object, default="auto"
        Where the threshold lies. A float in (0, 0.5]: below it is this share of the training rows. "auto": the fence of
        a boxplot of the training rows' scores, but at most a tenth of them. An object with ``eval``, as the
        thresholders of PyThresh: its verdict on them, in their order. `set_threshold` changes it after the fit.
    validation_fraction : float or None, default=None
        The share of rows to hold out of the fit for `p_values`, and for ``predict(fdr=)``. None: none, where ``fit``
        gets no ``X_val``.
    verbose : int, default=0
        1 prints what was learned, and how long it took.
    random_state : int, RandomState instance or None, default=None
        Seeds the autoencoders, unless ``autoencoder`` has a ``random_state`` of its own, and draws rows and folds.
        None: as ``autoencoder`` says.

    Attributes
    ----------
    autoencoder_ : estimator
        The (first) fitted autoencoder.
    estimators_ : list of estimators
        All of them.
    labels_, training_scores_ : ndarray of shape (n_samples,)
        Of the rows of X, -1 for outliers and 1; and their scores, each as if the row had been left out.
    max_samples_ : int
        How many training rows say what is usual.
    residual_scale_ : ndarray of shape (n_features,)
        Root mean square of each modelled column's training residuals, in the user's units; of a category the
        residuals are those of its levels' indicators from their probabilities, squared and summed.
    left_out_ : ndarray of int
        Positions of the training rows that were not trusted. Where there are more rows than ``max_samples``, only those
        drawn are looked at.
    support_fraction_ : float
        The share of rows that was trusted.
    offset_ : float
        The threshold on `score_samples`: below it are outliers.
    n_calibration_ : int
        Number of rows that `p_values` compares with: those held out, else all training rows.
    min_p_value_ : float
        The smallest p-value there is: 1 / (n_calibration_ + 1).
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where all are strings.

    Notes
    -----
    Which rows to trust can't be seen from the rows alone: a clump of strange ones may be a fault, or a rare kind of
    normal rows. The default hedges; ``support_fraction=1.0`` is better where training rows are known to be normal.

    A training row that turns up again is recognised, and has the score that it would have, had it been left out: so the
    share of training rows that `predict` flags is ``contamination``, and the share of new normal rows nearly so.

    A category counts as one number does, however many levels it has: its residual is that of all levels' indicators,
    in units of the usual one, and the indicators together have variance 1 where neighbours are looked for. Those of
    ordered levels are cumulated, so that distant levels are farther apart than neighbouring ones. A level that was not
    in the training rows is a gap, and says nothing: where a new one is an alarm, compare with the levels yourself.

    Unless ``anomaly_score`` is "reconstruction" or "elbo", the fitted detector, and its pickle, hold up to 2,048 (or
    ``max_samples``) training rows, as those of `sklearn.neighbors.LocalOutlierFactor` hold all.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AEOutlierDetector
    >>> X = load_wine().data
    >>> detector = AEOutlierDetector(random_state=0).fit(X)
    >>> detector.predict(np.vstack([X[0], 2 * X[0]]))
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [BaseAutoencoder, None],
        "anomaly_score": [StrOptions({"combined", *EVIDENCE}), list, tuple],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "support_fraction": [StrOptions({"auto"}), Interval(Real, 0.5, 1, closed="right"), None],
        "cv": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left"), None],
        "max_samples": [
            StrOptions({"auto"}),
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
        ],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right"), HasMethods(["eval"])],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        autoencoder: BaseAutoencoder | None = None,
        *,
        anomaly_score: str | Sequence[str] = "combined",
        n_estimators: int = 1,
        support_fraction: float | str | None = "auto",
        cv: int | str | None = "auto",
        max_samples: int | float | str = "auto",
        contamination: float | str | Thresholder = "auto",
        validation_fraction: float | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.autoencoder = autoencoder
        self.anomaly_score = anomaly_score
        self.n_estimators = n_estimators
        self.support_fraction = support_fraction
        self.cv = cv
        self.max_samples = max_samples
        self.contamination = contamination
        self.validation_fraction = validation_fraction
        self.verbose = verbose
        self.random_state = random_state

    # -- fitting ----------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: TableLike | RowSource,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        X_val: TableLike | None = None,
    ) -> Self:
        """Fit the autoencoders, what is usual, and the threshold.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Training rows; NaN marks a missing value.
        y : ignored
            Present for the API.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts, at or above 0; only ratios matter. None: all alike. A row of weight 0 is as good
            as absent, but for its label. The autoencoder, the fence and ``contamination`` are weighted; distributions
            and surprises, which know no weights, are learned from rows drawn as often as they count. Where neighbours
            are looked for, which rows to trust, `p_values` and a ``contamination`` with ``eval`` count rows alike.
        X_val : array-like or frame of shape (n_validation_samples, n_features), default=None
            Rows for `p_values` to compare with: normal ones, and none that are in X.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            For bad input or parameters, before any work.
        DivergenceError, KeyboardInterrupt
            If the loss turns non-finite, or the fit was interrupted. The detector is then as it was before the call.
        """
        with atomic(self), tensors_on_cpu(), fit_task(self, 3, X, y, sample_weight):
            X, X_val = what_fits(X, self), what_fits(X_val, self, "X_val")
            own = None if self.autoencoder is None else self.autoencoder.random_state
            rng = random_state_for(agreed(own if self.random_state is None else self.random_state))
            counts, given = RowWeights.read(sample_weight, X), X
            X = read(counts.of(given))
            columns = read_columns(self.autoencoder or AutoencoderTransformer(), [X])
            everything = table = self._read(X, columns, reset=True)
            uncounted = None if counts.rows is None else self._read(counts.others(given), columns, reset=False)
            if isinstance(self.max_samples, Integral) and int(self.max_samples) > len(table):
                warn(
                    f"Got max_samples={self.max_samples} and {len(table)} rows; expected at most as many. All rows are "
                    "used: pass 'auto' for that.",
                    UserWarning,
                )
            held_out = None if X_val is None else self._read(X_val, columns, reset=False, name="X_val")
            rows, weights = np.arange(len(table)), counts.weights
            if held_out is None and self.validation_fraction is not None:
                rows, kept = hold_out(len(table), self.validation_fraction, rng)
                table, held_out = everything[rows], everything[kept]
                weights = weights_of(rows, weights)
            fitted = X if len(rows) == len(everything) else rows_of(frame_of(X), rows, len(everything))
            with stage(self, "the autoencoder", 1):
                self._fit_autoencoders(fitted, table, columns, rng, weights)
            with stage(self, "what is usual", self.n_estimators + 1):
                self._fit_evidence(fitted, table, rows if counts.rows is None else counts.rows[rows], rng, weights)
            with stage(self, "the threshold"):
                known = None if held_out is None else np.sort(self._score_table(held_out))
                scores = self._score_table(everything)
                if uncounted is not None:
                    scores = counts.merge(scores, self._score_table(uncounted))
                self._calibration = Calibration(scores, known, counts)
            self.offset_ = self._offset_by(self.contamination)
        return self

    def _read(self, X: Any, columns: Columns, *, reset: bool, name: str = "X") -> np.ndarray:
        """Validate a table to be fitted."""
        return check_table(self, columns.categories.encode(X), reset=reset, min_samples=1 + reset, name=name)

    def _score_names(self) -> Sequence[str]:
        """Return the kinds of evidence to join."""
        if isinstance(self.anomaly_score, str):
            combined: Sequence[str] = _COMBINED_IF_CLEAN if self._is_clean() else _COMBINED
            if self.autoencoder is not None and self.autoencoder.condition_features is not None:
                combined = _COMBINED_GIVEN_CONDITIONS
            return combined if self.anomaly_score == "combined" else (self.anomaly_score,)
        names = list(self.anomaly_score)
        if not names or len(set(names)) < len(names) or not set(names) <= set(EVIDENCE):
            raise ValueError(
                f"Got anomaly_score={self.anomaly_score!r}; expected one or several of {sorted(EVIDENCE)}, each once."
            )
        return names

    def _n_samples(self, n_rows: int, default: int) -> int:
        if isinstance(self.max_samples, str):
            return min(n_rows, default)
        share = not isinstance(self.max_samples, Integral)
        return max(2, min(n_rows, math.ceil(self.max_samples * n_rows) if share else int(self.max_samples)))

    def _fit_autoencoders(
        self, X: Any, table: np.ndarray, columns: Columns, rng: np.random.RandomState, weights: np.ndarray | None
    ) -> None:
        n_rows = self._n_samples(len(table), _MOST_ROWS if self.autoencoder is None else len(table))
        model = self.autoencoder
        if model is None:
            model = default_autoencoder(
                n_rows,
                table.shape[1],
                variational="elbo" in self._score_names(),
                has_categories=bool(columns.n_levels().any()),
            )
        elif "elbo" in self._score_names() and not model.__sklae_parts__().has_density:
            raise ValueError(
                f"Got anomaly_score={self.anomaly_score!r} with {type(model).__name__}; expected a VAETransformer "
                "whose posterior has a density. Pass one as autoencoder, or leave it None."
            )
        members = [clone(model) for _ in range(self.n_estimators)]
        seed_members(members, rng)
        fit_members(members, X, columns=columns, max_rows=n_rows, weights=weights)
        self.estimators_, self.autoencoder_ = members, members[0]

    def _fit_evidence(
        self, X: Any, table: np.ndarray, positions: np.ndarray, rng: np.random.RandomState, weights: np.ndarray | None
    ) -> None:
        """Learn residuals' scales, which rows to trust, and what is usual.

        ``positions`` are those of the table's rows in what the user passed.
        """
        width = max(table.shape[1], len(self.autoencoder_.model_.cells.owner))
        most_rows = max(_LEAST_ROWS, min(_MOST_ROWS, _MOST_ELEMENTS // width))
        rows = some_rows(len(table), self._n_samples(len(table), most_rows), rng)
        sample, own = table[rows].astype(np.float64), weights_of(rows, weights)
        counted = None if own is None else resampled(own, len(rows), 0.5)
        self.max_samples_ = len(sample)
        ensemble = Ensemble(self.estimators_, sample)
        space = PointSpace(ensemble)
        seen = space.see(sample)
        usual = seen if counted is None else seen.take(counted)
        self.residual_scale_ = residual_scale(ensemble, usual.table, usual.expected)
        folds = make_folds(self.cv, len(sample), rng)
        left_out = distrusted(seen.points[:, : len(ensemble.cells.owner)], self.support_fraction, rng)
        self.left_out_ = positions[rows[left_out]]
        self.support_fraction_ = 1.0 - len(left_out) / len(sample)
        trusted = np.setdiff1d(np.arange(len(sample)), left_out)
        n_references = _MOST_REFERENCES if isinstance(self.max_samples, str) else len(sample)
        references = some_rows(len(sample), n_references, rng)
        parts = [EVIDENCE[name](ensemble, self.residual_scale_) for name in self._score_names()]
        fold_ensembles: list[Ensemble] = []
        if folds and any(isinstance(part, OfAutoencoders) for part in parts):
            of_sample = rows_of(frame_of(X), rows, len(table))
            n_copies = max(1, _MANY_ROWS // len(rows)) if self.autoencoder is None else 1
            fitted = [
                fit_left_out(member, of_sample, len(rows), folds, rng, n_copies=n_copies, weights=own)
                for member in self.estimators_
            ]
            fold_ensembles = [Ensemble(members, sample) for members in zip(*fitted, strict=True)]
        self._joint = Joint(parts, space)
        learned = Learned(seen, trusted, references, folds, fold_ensembles, draw_seed(rng), counted)
        anomaly = self._joint.fit(learned)
        self._known = KnownRows(sample, -anomaly) if folds else None

    def _is_clean(self) -> bool:
        return self.support_fraction == 1.0

    # -- scikit-learn -----------------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return self.autoencoder_.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
