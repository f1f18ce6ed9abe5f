"""Pictures of fitted estimators, drawn on matplotlib Axes.

Displays are made as scikit-learn's are: ``from_estimator`` or ``from_predictions`` compute what is drawn and draw it;
what they drew is in attributes, and ``plot`` draws it again, elsewhere or otherwise. The functions are short for some
of them, and return the Axes.

Everything is drawn on the Axes it is given, or on a new figure of pyplot's. A notebook shows such a figure,
``plt.show()`` does in a script, and ``display.figure_.savefig`` writes it, without a display, too. pyplot
keeps its figures until ``plt.close()``: a server hands in Axes of its own, ``matplotlib.figure.Figure().subplots()``.
They need matplotlib: ``pip install "sklae[plot]"``.
"""

from sklae.plotting._architecture import ArchitectureDisplay, summary
from sklae.plotting._curves import LossCurveDisplay, training_curve
from sklae.plotting._explanations import ExplanationDisplay
from sklae.plotting._grids import LatentGridDisplay
from sklae.plotting._images import image_grid
from sklae.plotting._imputations import ImputationDisplay
from sklae.plotting._information import KLDisplay
from sklae.plotting._layers import Layer
from sklae.plotting._maps import LatentSpaceDisplay, latent_map
from sklae.plotting._reconstructions import ReconstructionDisplay, reconstructions
from sklae.plotting._scores import OutlierScoreDisplay, score_histogram
from sklae.plotting._series import InterpolationDisplay, TraversalDisplay
from sklae.plotting._synthesis import SynthesisDisplay

__all__ = [
    "ArchitectureDisplay",
    "ExplanationDisplay",
    "ImputationDisplay",
    "InterpolationDisplay",
    "KLDisplay",
    "LatentGridDisplay",
    "LatentSpaceDisplay",
    "Layer",
    "LossCurveDisplay",
    "OutlierScoreDisplay",
    "ReconstructionDisplay",
    "SynthesisDisplay",
    "TraversalDisplay",
    "image_grid",
    "latent_map",
    "reconstructions",
    "score_histogram",
    "summary",
    "training_curve",
]
