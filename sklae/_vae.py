"""The variational autoencoder."""

from __future__ import annotations

from functools import cache
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch.quasirandom import SobolEngine

from sklae._base import BaseAutoencoder, random_state_for
from sklae._compat import Interval
from sklae._component import choices, resolve
from sklae._module import Autoencoder
from sklae._threads import torch_settings
from sklae.likelihoods import Gaussian, Likelihood
from sklae.posteriors import POSTERIORS, Posterior
from sklae.priors import PRIORS, Prior

__all__ = ["VAETransformer"]

_N_DRAWS = 64


@cache
def _antithetic_draws(n_components: int) -> torch.Tensor:
    """Return the standard normal draws that every score shares: Sobol points and their mirror images.

    Their second moments are set to those of the normal distribution, so that an expectation of anything
    quadratic, such as the error of an affine decoder, is exact.
    """
    points = SobolEngine(n_components, scramble=True, seed=0).draw(_N_DRAWS // 2, dtype=torch.float64)
    half = torch.special.ndtri(points.clamp(1e-9, 1 - 1e-9))
    if n_components <= _N_DRAWS // 4:
        moments = half.T @ half / len(half)
        half = torch.linalg.solve_triangular(torch.linalg.cholesky(moments), half.T, upper=False).T
    else:  # too few draws to part all components from each other
        half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])


class VAETransformer(BaseAutoencoder):
    """Variational autoencoder: codes, a density of rows, and new rows.

    Maximises a lower bound of the log-likelihood: how well rows are reconstructed from noisy codes, minus what the
    codes tell beyond the prior (Kingma and Welling, arXiv 1312.6114). With affine maps and a shared scale it is
    probabilistic PCA (arXiv 1911.02469), with a scale per feature it is factor analysis.

    Parameters
    ----------
    n_components : int or None, default=None
        Width of the code. None: half the number of features, at most 32.
    beta : float, default=1.0
        Weight of the KL term in training: above 1 for fewer, more separate active components (Higgins et al., ICLR
        2017), below 1 for sharper reconstructions. Scores always use 1.
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
    likelihood : str or Likelihood, default="auto"
        The distribution of a row given its code: "gaussian" (one learned scale), "bernoulli" (data in [0, 1]), or an
        instance. "auto" is ``Gaussian("per_feature")``.
    posterior : str or Posterior, default="diagonal"
        The family of distributions of a row's code.
    prior : str or Prior, default="normal"
        The distribution of codes before a row is seen.
    corruption : str, Corruption or None, default=None
        Damage to the inputs in training; makes the model a denoiser. One of "gaussian_noise", "masking",
        "salt_and_pepper", "swap", or an instance.
    penalty : str, Penalty or None, default=None
        Added to the training loss: "l1", "kl_sparsity", or an instance.
    standardize : "auto" or bool, default="auto"
        Whether columns are centred and scaled to unit variance inside. "auto": where the likelihood is on the whole
        line. Scores stay in the user's units either way.
    clip : float or None, default=None
        How many standard deviations from its column's mean a value may lie in the training target and at the encoder's
        input: further out it is pulled back, so that gross outliers among the training rows are not learned. Scores
        see the values as they are.
    solver : {"adam", "adamw", "sgd", "rmsprop", "lbfgs"}, default="adam"
        "sgd" has Nesterov momentum 0.9. "lbfgs" works on all rows at once and needs a loss without noise: plain
        autoencoders only.
    learning_rate : {"constant", "adaptive", "cosine", "one_cycle"}, default="constant"
        "adaptive" divides the rate by 5 when the loss stalls; "cosine" and "one_cycle" are planned over ``max_iter``
        epochs, which then all run.
    learning_rate_init : float, default=1e-3
        The (first, or for "one_cycle" the largest) learning rate. Ignored by "lbfgs".
    weight_decay : float, default=0.0
        L2 penalty of the weights ("adamw": decoupled).
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of 2 nearest to a twentieth of the rows, from 32 to 1,024.
    max_iter : int, default=200
        The largest number of epochs.
    tol : float, default=1e-4
        Improvements of the loss up to this, in nats per row and feature, do not count.
    n_iter_no_change : int or numpy.inf, default=10
        Epochs without improvement before training ends. Infinity: never.
    early_stopping : bool, default=False
        Whether to watch the bound on held-out rows instead of the training loss, and to keep the best weights.
    validation_fraction : float, default=0.1
        The share of rows held out by ``early_stopping``, where ``fit`` gets no ``X_val``.
    warm_start : bool, default=False
        Whether `fit` continues from the last one's weights, optimizer and scaling.
    callbacks : list or None, default=None
        skorch callbacks, or (name, callback) pairs; copied before use.
    net_params : dict or None, default=None
        Anything else for the skorch net: ``{"optimizer__amsgrad": True}``.
    device : str, default="cpu"
        "cpu", "cuda", "mps" or "auto".
    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, noise and the order of rows. None takes fresh entropy from the system; NumPy's and
        torch's global generators are never used.
    verbose : int, default=0
        Whether to print a line per epoch.

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
    validation_scores_ : list of float
        Bound (at beta = 1) on the validation rows per epoch; only with validation rows.
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
    `score_samples` is a lower bound of the log-density in nats, at beta = 1, with 64 draws of the code that all rows
    share (antithetic scrambled Sobol points with exact second moments), so that it is a function of the row alone. It
    is comparable with the ``score`` of PCA, FactorAnalysis and GaussianMixture on the same columns, and a bare
    `GridSearchCV` selects by it. Scores of different likelihoods compare only where both are densities of the same kind
    of data.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> X, y = load_wine(return_X_y=True)
    >>> vae = VAETransformer(n_components=2, learning_rate="one_cycle", max_iter=20, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.score_samples(X).shape, vae.sample(3, random_state=0).shape
    ((178, 2), (178,), (3, 13))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        "beta": [Interval(Real, 0, None, closed="left")],
        "posterior": choices(POSTERIORS, Posterior),
        "prior": choices(PRIORS, Prior),
    }
    _n_score_draws = _N_DRAWS

    def __init__(
        self,
        n_components: int | None = None,
        *,
        beta: float = 1.0,
        hidden_layer_sizes: Any = None,
        activation: str = "silu",
        network: Any = None,
        encoder: Any = None,
        decoder: Any = None,
        likelihood: Any = "auto",
        posterior: Any = "diagonal",
        prior: Any = "normal",
        corruption: Any = None,
        penalty: Any = None,
        standardize: Any = "auto",
        clip: float | None = None,
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: Any = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        callbacks: Any = None,
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
        self.corruption = corruption
        self.penalty = penalty
        self.standardize = standardize
        self.clip = clip
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
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

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw new rows: codes from the prior, rows from the likelihood.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container, the columns and the dtype that were fitted.
        """
        check_is_fitted(self)
        seed = int(random_state_for(random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        module, device = self._inference(np.dtype(np.float64))
        with torch_settings(n_threads=1, gradients=False):
            codes = module.prior().sample(n_samples, generator)
            params = module.decode(codes.to(device)).cpu()
            rows = module.likelihood.sample(params, generator).numpy()
        return self.layout_.wrap(self.layout_.decode(rows).astype(self.layout_.dtype, copy=False))

    def _auto_likelihood(self) -> Likelihood:
        # measured on held-out rows: 8 nats better than a shared scale on breast_cancer, 1 to 2 on white wine and
        # diabetes, within 0.3 elsewhere
        return Gaussian("per_feature")

    def _latent_parts(self) -> tuple[Posterior, Prior | None]:
        return resolve(self.posterior, POSTERIORS), resolve(self.prior, PRIORS)

    def _beta(self) -> float | None:
        return float(self.beta)

    def _score_chunk(self, module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        q = module.encode(x, observed)
        draws = _antithetic_draws(self.n_components_).to(x)
        z = q.push(draws[:, None, :])  # (n_draws, n_rows, n_components)
        params = module.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        log_prob = module.likelihood.log_prob(params, x)
        weight = module.column_weight(observed)
        expected = (log_prob if weight is None else log_prob * weight).sum(-1).mean(0)
        prior = module.prior()
        closed_form = q.kl(prior)
        kl = (q.log_prob(z) - prior.log_prob(z)).mean(0) if closed_form is None else closed_form
        return expected - kl
