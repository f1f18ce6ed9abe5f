"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from sklae._autoencoders.base import BaseAutoencoder
from sklae._autoencoders.checks import check_prior
from sklae._autoencoders.code_density import AGGREGATES
from sklae._autoencoders.latent_verbs import LatentVerbs
from sklae._autoencoders.parts import Parts, resolve_likelihood
from sklae._tables.annotations import CategoricalFeatures, FeaturesLike
from sklae._training.callbacks import Callback
from sklae._utils.compat import HasMethods, Interval, StrOptions
from sklae._utils.component import choices, resolve
from sklae.corruptions import Corruption
from sklae.critics import CRITICS, Critic
from sklae.divergences import DIVERGENCES, KL, Divergence
from sklae.likelihoods import Blocks, Likelihood, Mixed
from sklae.likelihoods._mixed import ByKind
from sklae.networks import Network
from sklae.penalties import PENALTIES, Penalty
from sklae.posteriors import POSTERIORS, Posterior
from sklae.priors import PRIORS, GaussianMixture, Prior, StandardNormal
from sklae.schedules import WEIGHTS, WeightSchedule, weight_of

__all__ = ["VAETransformer"]


class VAETransformer(LatentVerbs, BaseAutoencoder):
    """Variational autoencoder: codes, a density of rows, and new rows.

    Maximises a lower bound of the log-likelihood: how well rows are reconstructed from noisy codes, minus what the
    codes tell beyond the prior (Kingma and Welling, arXiv 1312.6114). With affine maps and a shared scale it is
    probabilistic PCA (arXiv 1911.02469), with a scale per feature it is factor analysis.

    Parameters
    ----------
    n_components : int or None, default=None
        Width of the code. None: half the number of features, at most 32.
    beta : float, str or WeightSchedule, default=1.0
        Weight of the divergence in training: above 1 for fewer, more separate active components (Higgins et al., ICLR
        2017), below 1 for sharper reconstructions; "linear_warmup", "cyclical" or an instance, such as
        ``LinearWarmup(4.0, n_epochs=30)``, for one that changes with the epoch. Scores always use 1.
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
        The distribution of a row given its code. "auto" goes by each column's kind, as `sklae.likelihoods.Mixed` does:
        ``Gaussian("per_row")``, whose scales depend on the code, for numbers, "categorical" for text, categories and
        booleans, "ordinal" for ordered categories. In a table of 1,000 rows that has categories, numbers are
        "histogram", which keeps to ranges and to what repeats (not in `partial_fit`). A key of
        `sklae.likelihoods.LIKELIHOODS` is for all columns alike:
        "gaussian" (one learned scale), "student_t", "laplace", "log_normal", "histogram" (any distribution),
        "bernoulli" and "continuous_bernoulli" (data in [0, 1]), "categorical", "ordinal" (categories, or codes 0, 1,
        ...), "poisson", "negative_binomial". Or an instance, as ``Mixed("histogram")``, whose samples keep to the
        ranges seen; or a list of blocks of columns, ``[(name, likelihood, columns), ...]``.
    posterior : str or Posterior, default="diagonal"
        The family of distributions of a row's code: "diagonal", "full_covariance", "iaf" (skew and curved),
        "product_of_experts" (one encoder per block of columns), "point" (with ``divergence="mmd"`` or "adversarial"),
        or an instance.
    prior : str or Prior, default="auto"
        The distribution of codes before a row is seen: "normal", "gaussian_mixture", "vamp", "flow", or an instance.
        "auto": a mixture of normal distributions with full covariances, as many as BIC finds in the codes that training
        starts from. It is "normal" where that is one, where another objective than the bound is trained (another
        ``beta`` or ``divergence``), and with conditions, of which codes are not to tell.
    divergence : str or Divergence, default="kl"
        What holds the rows' codes to the prior: "kl"; "tc", where ``beta`` weighs only how components depend on each
        other; "mmd" and "adversarial", which look at all codes together; or an instance.
    capacity : float, str, WeightSchedule or None, default=None
        Nats per row that the KL term is pulled to, with ``beta`` as the strength of the pull (arXiv 1804.03599).
        Rising, as ``LinearWarmup(25.0, n_epochs=50)``, it lets components in one after the other.
    free_bits : float, default=0.0
        Nats per component, averaged over the batch, that are free of charge (arXiv 1606.04934): keeps components from
        collapsing.
    critic : str, Critic or None, default=None
        What learns to tell rows from what the decoder makes, and is to be deceived: "data" (VAE-GAN), or an instance.
    n_importance_samples : int, default=1
        Codes drawn per row in training. Above 1 training maximises the tighter importance-weighted bound (arXiv
        1509.00519), with doubly reparameterized gradients (arXiv 1810.04152) where the posterior allows.
    condition_features : array-like of str, int or bool, str, int or None, default=None
        Columns of X that condition encoder and decoder, and are not modelled: by name, position or mask. Verbs that
        decode without rows then need ``condition=``.
    categorical_features : "from_dtype" or array-like of str, int or bool, default="from_dtype"
        Which columns are categories, modelled ones and conditions. "from_dtype": of a frame those of text, categories
        and booleans, of an array none. Names, positions or a mask: these in addition, such as columns of codes.
    sample_from : str or estimator, default="prior"
        Where `sample` takes codes from: "prior"; or a density fitted to the training rows' codes: "aggregate" (a
        Gaussian mixture whose size is chosen by BIC), "flow" (a normalizing flow), or any estimator with ``fit`` and
        ``sample``. Such densities don't depend on conditions; priors may.
    corruption : str, Corruption or None, default=None
        Damage to the inputs in training; makes the model a denoiser: a key of `sklae.corruptions.CORRUPTIONS`, as
        "gaussian_noise" or "masking", or an instance.
    penalty : str, Penalty or None, default=None
        Added to the training loss: "l1", "kl_sparsity", "contractive", "neighbors", or an instance. "top_k" and
        "batch_top_k" are for plain autoencoders.
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
    learning_rate_init : float, default=6e-3
        The (first, or for "one_cycle" the largest) learning rate. Ignored by "lbfgs".
    weight_decay : float, default=0.0
        L2 penalty of the weights ("adamw": decoupled).
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of 2 nearest to a twentieth of the rows, from 32 to 1,024.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    max_iter : int or "auto", default="auto"
        The largest number of epochs. "auto": as many as take 3,000 steps, 250 a column or 4.5 a row, whatever is
        least, and at least 20.
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
    AutoencoderTransformer : The plain autoencoder.
    sklearn.decomposition.FactorAnalysis : The exact solution where both maps are affine.

    Notes
    -----
    Training starts as factor analysis in closed form (of few rows with the number of factors that
    cross-validation takes), whose likelihood the bound then is, and bends it: encoder and decoder are affine maps plus
    layers that are zero at first. So a model is never worse on held-out rows than its linear counterpart by more than
    chance. That takes the default network (``network=MLP(...)``) and likelihoods of real numbers or categories; around
    gaps the start is fitted by expectation maximisation. Other networks, modules of your own, other likelihoods and
    ``posterior="product_of_experts"`` start from random weights.

    `score_samples` is a lower bound of the log-density in nats, at beta = 1: the importance-weighted one of 64 draws of
    the code that all rows share (antithetic scrambled Sobol points with exact second moments), so that it is a function
    of the row alone. It is comparable with the ``score`` of PCA, FactorAnalysis and GaussianMixture on the same
    columns, and a bare `GridSearchCV` selects by it. With categories it is the logarithm of a density of the numbers
    times a probability of the levels. Scores of different likelihoods compare only where both are densities of the same
    kind of data.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> X, y = load_wine(return_X_y=True)
    >>> vae = VAETransformer(n_components=2, random_state=0).fit(X)
    >>> (
    ...     vae.transform(X).shape,
    ...     vae.score_samples(X).shape,
    ...     vae.sample(3, random_state=0).shape,
    ... )
    ((178, 2), (178,), (3, 13))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        "beta": choices(WEIGHTS, WeightSchedule, Interval(Real, 0, None, closed="left")),
        "posterior": choices(POSTERIORS, Posterior),
        "prior": choices({"auto": Prior, **PRIORS}, Prior),
        "divergence": choices(DIVERGENCES, Divergence),
        "capacity": choices(WEIGHTS, WeightSchedule, Interval(Real, 0, None, closed="left"), None),
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "critic": choices(CRITICS, Critic, None),
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "sample_from": [StrOptions({"prior", *AGGREGATES}), HasMethods(["fit", "sample", "get_params"])],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        beta: float | str | WeightSchedule = 1.0,
        hidden_layer_sizes: int | Sequence[int] | None = None,
        activation: str = "silu",
        network: str | Network | None = None,
        encoder: Callable[[int, int], nn.Module] | None = None,
        decoder: Callable[[int, int], nn.Module] | None = None,
        likelihood: str | Likelihood | list[tuple[str, str | Likelihood, FeaturesLike]] = "auto",
        posterior: str | Posterior = "diagonal",
        prior: str | Prior = "auto",
        divergence: str | Divergence = "kl",
        capacity: float | str | WeightSchedule | None = None,
        free_bits: float = 0.0,
        critic: str | Critic | None = None,
        n_importance_samples: int = 1,
        condition_features: FeaturesLike | None = None,
        categorical_features: CategoricalFeatures = "from_dtype",
        sample_from: str | BaseEstimator = "prior",
        corruption: str | Corruption | None = None,
        penalty: str | Penalty | None = None,
        standardize: bool | Literal["auto", "global"] = "auto",
        clip: float | None = None,
        solver: Literal["adam", "adamw", "sgd", "rmsprop", "lbfgs"] = "adam",
        learning_rate: Literal["auto", "constant", "adaptive", "cosine", "one_cycle"] = "auto",
        learning_rate_init: float = 6e-3,
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
        self.beta = beta
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.posterior = posterior
        self.prior = prior
        self.divergence = divergence
        self.capacity = capacity
        self.free_bits = free_bits
        self.critic = critic
        self.n_importance_samples = n_importance_samples
        self.condition_features = condition_features
        self.categorical_features = categorical_features
        self.sample_from = sample_from
        self.corruption = corruption
        self.penalty = penalty
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

    # -- parts ------------------------------------------------------------------------------------------

    def __sklae_parts__(self) -> Parts:
        likelihood = resolve_likelihood(self.likelihood, ByKind())
        posterior, penalty = resolve(self.posterior, POSTERIORS), resolve(self.penalty, PENALTIES)
        if penalty is not None:
            penalty.check(posterior)
        if posterior.per_block and not isinstance(likelihood, Blocks):
            raise ValueError(
                f"Got posterior={self.posterior!r} with likelihood={self.likelihood!r}; expected a list of blocks, one "
                "encoder each: likelihood=[('name', 'gaussian', columns), ...]."
            )
        objective = self._objective(posterior)
        prior = check_prior(self._resolve_prior(objective), objective["divergence"])
        return Parts(self, likelihood, posterior, prior, objective, int(self.n_importance_samples))

    def _resolve_prior(self, objective: dict[str, Any]) -> Prior:
        """Return the prior; left open, it is learned only where nothing is asked of codes but to tell of rows."""
        if not (isinstance(self.prior, str) and self.prior == "auto"):
            return resolve(self.prior, PRIORS)
        learns = objective["divergence"].is_bound and objective["beta"] == 1.0 and self.condition_features is None
        return GaussianMixture("auto", covariance_type="full") if learns else StandardNormal()

    def _stands_for(self, name: str, given: Any) -> Any:
        if isinstance(given, str) and given == "auto":
            open_parts = {"likelihood": Mixed(), "prior": GaussianMixture("auto", covariance_type="full")}
            return open_parts.get(name)
        return super()._stands_for(name, given)

    def _objective(self, posterior: Posterior) -> dict[str, Any]:
        """Return what holds the codes to the prior: arguments of `Objective`."""
        divergence, beta = self._resolve_divergence(), weight_of(self.beta)
        divergence.check(posterior)
        if (beta.final if isinstance(beta, WeightSchedule) else beta) < divergence.least_beta:
            raise ValueError(
                f"Got beta={self.beta!r} with divergence={self.divergence!r}; expected at least "
                f"{divergence.least_beta:g}. Raise it, or use divergence='kl'."
            )
        is_bound = divergence.is_bound and beta == 1.0 and self.penalty is None and self.critic is None
        if self.n_importance_samples > 1 and not is_bound:
            raise ValueError(
                f"Got n_importance_samples={self.n_importance_samples}, which trains the importance-weighted bound; "
                "expected divergence='kl', beta=1.0, free_bits=0.0, capacity=None, penalty=None and critic=None. Set "
                "them so, or n_importance_samples=1."
            )
        return {"divergence": divergence, "beta": beta, "critic": resolve(self.critic, CRITICS)}

    def _resolve_divergence(self) -> Divergence:
        """Return the divergence; ``free_bits`` and ``capacity`` are short for those of `KL`."""
        divergence = resolve(self.divergence, DIVERGENCES)
        if not self.free_bits and self.capacity is None:
            return divergence
        if not (isinstance(divergence, KL) and divergence.is_bound):
            raise ValueError(
                f"Got free_bits={self.free_bits} and capacity={self.capacity!r} with divergence={self.divergence!r}; "
                "expected divergence='kl', whose term they change."
            )
        return KL(self.free_bits, capacity=self.capacity)

    # -- new rows ----------------------------------------------------------------------------------------

    def _draw_codes(
        self, n_samples: int, condition: np.ndarray | None, random_state: np.random.RandomState
    ) -> np.ndarray | torch.Tensor:
        if isinstance(self.sample_from, str) and self.sample_from == "prior":
            return self.model_.draw_from_prior(n_samples, condition, random_state)
        return super()._draw_codes(n_samples, condition, random_state)
