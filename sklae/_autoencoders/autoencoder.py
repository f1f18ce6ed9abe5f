"""The plain autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklae._autoencoders.base import BaseAutoencoder
from sklae._autoencoders.fitted_model import FittedModel
from sklae._autoencoders.parts import Parts, resolve_likelihood
from sklae._tables.annotations import CategoricalFeatures, FeaturesLike
from sklae._training.callbacks import Callback
from sklae._utils.component import resolve
from sklae.corruptions import Corruption
from sklae.likelihoods import Gaussian, Likelihood, Mixed
from sklae.likelihoods._mixed import LeastSquares
from sklae.networks import Network
from sklae.penalties import PENALTIES, ActivePoint, Penalty
from sklae.posteriors import Point

__all__ = ["AutoencoderTransformer"]


class AutoencoderTransformer(BaseAutoencoder):
    """Autoencoder: a nonlinear PCA that reconstructs, denoises and sparsifies.

    An encoder maps each row to a code of ``n_components`` numbers, a decoder maps it back; both are trained to lose
    as little as possible (Hinton and Salakhutdinov, Science 313:504, 2006). With affine maps the codes span PCA's
    subspace.

    Parameters
    ----------
    n_components : int or None, default=None
        Width of the code. None: half the number of features, at most 32.
    hidden_layer_sizes : sequence of int or int, default=None
        Widths of the encoder's hidden layers; the decoder mirrors them. ``()`` makes both affine. None: (128, 64),
        or (256, 128) past 128 features.
    activation : str, default="silu"
        Applied after hidden layers; one of the keys of `sklae.networks.ACTIVATIONS`.
    network : str, Network or None, default=None
        Replaces the default multi-layer perceptron, and with it the two parameters above:
        ``MLP((64,), dropout=0.1, normalization="batch")``.
    encoder, decoder : callable, default=None
        Factories of one's own modules, ``factory(n_inputs, n_outputs) -> torch.nn.Module``, called anew in every
        fit. With gaps in the training rows, or a corruption that hides values, the encoder's inputs are the values
        and, beside them, 1 where observed and 0 where not.
    likelihood : str, Likelihood or list, default="auto"
        How rows differ from their reconstructions. "auto" goes by each column's kind, as `sklae.likelihoods.Mixed`
        does: squared error of numbers (``Gaussian(1.0)``), "categorical" for text, categories and booleans, "ordinal"
        for ordered categories, each column of which weighs as much as a number. A key of
        `sklae.likelihoods.LIKELIHOODS` is for all columns alike: "gaussian" (its scale is learned), "student_t",
        "laplace", "log_normal", "histogram", "bernoulli" and "continuous_bernoulli" (data in [0, 1]), "categorical",
        "ordinal" (categories, or codes 0, 1, ...), "poisson", "negative_binomial". Or an instance, as
        ``Mixed("histogram")``, or a list of blocks of columns, ``[(name, likelihood, columns), ...]``.
    corruption : str, Corruption or None, default=None
        Damage to the inputs in training; makes the model a denoiser: a key of `sklae.corruptions.CORRUPTIONS`, as
        "gaussian_noise" or "masking", or an instance.
    penalty : str, Penalty or None, default=None
        Added to the training loss; some make codes sparse: a key of `sklae.penalties.PENALTIES`, as "l1", "top_k",
        "contractive" or "neighbors", or an instance.
    condition_features : array-like of str, int or bool, str, int or None, default=None
        Columns of X that condition encoder and decoder, and are not modelled: by name, position or mask. Verbs that
        decode without rows then need ``condition=``.
    categorical_features : "from_dtype" or array-like of str, int or bool, default="from_dtype"
        Which columns are categories, modelled ones and conditions. "from_dtype": of a frame those of text, categories
        and booleans, of an array none. Names, positions or a mask: these in addition, such as columns of codes.
    sample_from : str, estimator or None, default=None
        Where `sample` takes codes from: a density fitted to the training rows' codes after training. "aggregate" (a
        Gaussian mixture whose size is chosen by BIC), "flow" (a normalizing flow), or any estimator with ``fit`` and
        ``sample``. None: there is no `sample`. With ``likelihood="auto"``, whose scale is not learned, rows are decoded
        without noise. Such a density does not depend on conditions, though codes of a plain autoencoder may tell of
        them: draw for given conditions from a `VAETransformer`.
    standardize : {"auto", "global"} or bool, default="auto"
        Whether columns are centred and scaled to unit variance inside. "auto": where the likelihood is on the whole
        line. "global": all by one mean and one scale, as pixels want it, which share a unit and of which many hardly
        vary. Scores stay in the user's units either way.
    clip : float or None, default=None
        How many standard deviations from its column's mean a value may lie in training targets and encoder inputs:
        further out it is pulled back, so that gross outliers are not learned. Scores see values as they are. With
        ``standardize="global"`` a column further out than that by single cells is taken to vary as the others do.
    solver : {"adam", "adamw", "sgd", "rmsprop", "lbfgs"}, default="adam"
        "sgd" has Nesterov momentum 0.9. "lbfgs" works on all rows at once and needs a loss without noise: plain
        autoencoders only.
    learning_rate : {"auto", "constant", "adaptive", "cosine", "one_cycle"}, default="auto"
        "adaptive" divides the rate by 5 when the loss stalls; "cosine" and "one_cycle" are planned over ``max_iter``
        epochs. "auto": in `fit` "cosine", in `partial_fit` "constant", and gradients of a norm above 1 are shortened to
        it, so that no batch throws the model back.
    learning_rate_init : float, default=3e-3
        The (first, or for "one_cycle" the largest) learning rate. Ignored by "lbfgs".
    weight_decay : float, default=0.0
        L2 penalty of the weights ("adamw": decoupled).
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of 2 nearest to a twentieth of the rows, from 32 to 1,024.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    max_iter : int or "auto", default="auto"
        The largest number of epochs. "auto": as many as take 2,000 steps, or 6 a row where that is less, and at least
        20; with "lbfgs" 200.
    tol : float, default=1e-4
        Improvements of the loss up to this, in nats per row and feature, do not count.
    n_iter_no_change : int, numpy.inf or "auto", default="auto"
        Epochs without improvement before training ends. Infinity: never. "auto": 40 % of the largest number of epochs
        where the rate is planned, else 10.
    early_stopping : bool or "auto", default="auto"
        Whether to watch the loss of held-out rows (weighed as at the end of all schedules) instead of the training
        loss, and to keep the best weights: those of the start too, where it is a linear model (see Notes), unless
        others are better by more than a standard error. "auto": in `fit`, of 4 rows or more; not in `partial_fit`, nor
        of a source of rows without ``X_val``.
    validation_fraction : float or "auto", default="auto"
        The share of rows held out by ``early_stopping``, where ``fit`` gets no ``X_val``. "auto": a tenth, but 50 rows
        at least, a quarter of the rows and 1,000 rows at most. Scaling and the start are learned from all rows.
    warm_start : bool, default=False
        Whether `fit` continues from the last one's weights, optimizer and scaling.
    callbacks : list or None, default=None
        Callbacks of skorch, or (name, callback) pairs; copied before use.
    net_params : dict or None, default=None
        Anything else for the skorch net: ``{"optimizer__amsgrad": True}``, of "sgd" ``{"optimizer__momentum": 0.5}``.
    device : str, default="cpu"
        "cpu", "cuda", "mps" or "auto".
    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, noise and the order of rows. None takes fresh entropy from the system; NumPy's and
        torch's global generators are never used.
    verbose : int, default=0
        1: a bar of epochs on the standard error stream, with the time left and the terms of the loss; 2: a line per
        epoch.

    Attributes
    ----------
    n_components_ : int
        Width of the code.
    net_ : skorch.NeuralNet
        The fitted net; ``net_.history`` has every loss term, as ``train_…`` and ``valid_…``, in nats of encoded values
        per row, without constants that nothing learned changes.
    layout_ : Layout
        The columns and their scaling.
    n_iter_ : int
        Epochs run, over all fits that continued each other.
    loss_curve_ : list of float
        Training loss per epoch.
    loss_ : float
        That of the last epoch.
    best_loss_ : float or None
        The least of them; None where held-out rows decide.
    validation_scores_ : list of float
        Bound (at beta = 1) on the validation rows per epoch, of the last epochs that all had some; else there are none.
    best_validation_score_ : float or None
        The largest of them; None without validation rows.
    best_iter_ : int
        The epoch whose weights were kept, 0 for the start; only where held-out rows decide.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where all are strings.

    See Also
    --------
    VAETransformer : Has a density of rows, and draws new ones.
    AEOutlierDetector : Finds the rows that an autoencoder reconstructs badly.

    Notes
    -----
    Training starts as PCA in closed form, with codes of variance 1 and signs that make the largest weight positive, and
    bends it: encoder and decoder are affine maps plus layers that are zero at first. So a model never rebuilds held-out
    rows worse than PCA by more than chance. Of categories the indicators of levels take part, each column weighing as
    much as a number; around gaps the covariance is fitted by expectation maximisation. That takes the default network
    (``network=MLP(...)``) and likelihoods of real numbers or categories. Codes that a penalty rectifies start as half
    as many components, one for each sign. Other networks, modules of your own and other
    likelihoods start from random weights.

    `score_samples` is log p(x | z(x)), how well what was observed of a row is reconstructed, in nats: of numbers a
    log-density in your units, of categories a log-probability. It is no density of rows and always prefers
    more components: select ``n_components`` by a downstream scorer, or use `VAETransformer`.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> X, y = load_wine(return_X_y=True)
    >>> ae = AutoencoderTransformer(n_components=2, random_state=0).fit(X)
    >>> ae.transform(X).shape, ae.reconstruct(X).shape
    ((178, 2), (178, 13))
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        hidden_layer_sizes: int | Sequence[int] | None = None,
        activation: str = "silu",
        network: str | Network | None = None,
        encoder: Callable[[int, int], nn.Module] | None = None,
        decoder: Callable[[int, int], nn.Module] | None = None,
        likelihood: str | Likelihood | list[tuple[str, str | Likelihood, FeaturesLike]] = "auto",
        corruption: str | Corruption | None = None,
        penalty: str | Penalty | None = None,
        condition_features: FeaturesLike | None = None,
        categorical_features: CategoricalFeatures = "from_dtype",
        sample_from: str | BaseEstimator | None = None,
        standardize: bool | Literal["auto", "global"] = "auto",
        clip: float | None = None,
        solver: Literal["adam", "adamw", "sgd", "rmsprop", "lbfgs"] = "adam",
        learning_rate: Literal["auto", "constant", "adaptive", "cosine", "one_cycle"] = "auto",
        learning_rate_init: float = 3e-3,
        weight_decay: float = 0.0,
        batch_size: int | Literal["auto"] = "auto",
        shuffle: bool = True,
        max_iter: int | Literal["auto"] = "auto",
        tol: float = 1e-4,
        n_iter_no_change: float | Literal["auto"] = "auto",
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float | Literal["auto"] = "auto",
        warm_start: bool = False,
        callbacks: list[Callback | tuple[str, Callback]] | None = None,
        net_params: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalty = penalty
        self.condition_features = condition_features
        self.categorical_features = categorical_features
        self.sample_from = sample_from
        self.standardize = standardize
        self.clip = clip
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def model_(self) -> FittedModel:
        """What was fitted, as one: answers for validated tables. It belongs to sklae's own parts."""
        check_is_fitted(self)
        return FittedModel(self.layout_, self.net_)

    def _stands_for(self, name: str, given: Any) -> Any:
        is_open = name == "likelihood" and isinstance(given, str) and given == "auto"
        return Mixed(Gaussian(1.0), balance=True) if is_open else super()._stands_for(name, given)

    def __sklae_parts__(self) -> Parts:
        likelihood, penalty = resolve_likelihood(self.likelihood, LeastSquares()), resolve(self.penalty, PENALTIES)
        activates = penalty is not None and penalty.activates
        return Parts(self, likelihood, ActivePoint(penalty) if activates else Point())
