"""Pictures of fitted estimators, drawn on matplotlib Axes.

Every function draws on the Axes it is given, or on a figure of its own that no window system knows about
(``ax.figure`` is that figure: show it in a notebook, or call its ``savefig``). So they work in threads, in
servers and without a display. They need matplotlib: ``pip install "sklae[plot]"``.
"""

from sklae.plotting._curves import score_histogram, training_curve
from sklae.plotting._images import image_grid, reconstructions
from sklae.plotting._maps import latent_map

__all__ = ["image_grid", "latent_map", "reconstructions", "score_histogram", "training_curve"]
