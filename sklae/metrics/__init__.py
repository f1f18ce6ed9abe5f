"""Figures about fitted models: what codes carry, how likely rows are, how real samples look, and what to try next.

All densities, rates and distances between distributions are in nats. Functions take ``(estimator, X)``, as
scikit-learn's inspection does, or plain arrays, as its metrics do; a pipeline that ends in a variational
autoencoder will do as well as the autoencoder. They use public methods only.
"""

from sklae.metrics._diagnosis import Diagnosis, diagnose
from sklae.metrics._disentanglement import DCI, dci, mutual_information_gap
from sklae.metrics._distances import ColumnDistances, PairDistances
from sklae.metrics._generation import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from sklae.metrics._information import (
    Estimate,
    active_units,
    kl_per_component,
    marginal_kl,
    mutual_information,
    negative_log_likelihood,
)
from sklae.metrics._near_copies import NearCopies, near_copy_share
from sklae.metrics._synthesis import association_distances, marginal_distances, train_on_synthetic_score
from sklae.metrics._two_samples import classifier_two_sample_score, energy_distance

__all__ = [
    "DCI",
    "ColumnDistances",
    "DensityCoverage",
    "Diagnosis",
    "Estimate",
    "NearCopies",
    "PairDistances",
    "PrecisionRecall",
    "active_units",
    "association_distances",
    "classifier_two_sample_score",
    "dci",
    "density_coverage",
    "diagnose",
    "energy_distance",
    "kl_per_component",
    "marginal_distances",
    "marginal_kl",
    "mutual_information",
    "mutual_information_gap",
    "near_copy_share",
    "negative_log_likelihood",
    "precision_recall",
    "train_on_synthetic_score",
]
