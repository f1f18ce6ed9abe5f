"""Pictures of fitted estimators, drawn on matplotlib Axes.

Every function draws on the Axes it is given, or on a new figure of pyplot's, and returns the Axes. A notebook shows
such a figure, ``plt.show()`` does in a script, and ``ax.figure.savefig`` writes it, without a display, too. pyplot
keeps its figures until ``plt.close()``: a server hands in Axes of its own, ``matplotlib.figure.Figure().subplots()``.
They need matplotlib: ``pip install "sklae[plot]"``.
"""

from sklae.plotting._curves import score_histogram, training_curve
from sklae.plotting._images import image_grid, reconstructions
from sklae.plotting._maps import latent_map

__all__ = ["image_grid", "latent_map", "reconstructions", "score_histogram", "training_curve"]
