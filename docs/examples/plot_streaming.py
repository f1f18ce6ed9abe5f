"""
Rows that keep coming
=====================

A machine sends its state, row after row, and may change its ways. ``partial_fit`` learns from each chunk and goes on:
codes are a representation of the state that follows the stream, and errors show when it has changed.
"""

# %%
# A stream
# --------
# Eight sensors are driven by two hidden states, each its own way: an oscillation, and a load that comes and goes more
# slowly. After half of the time the machine is rewired: three sensors answer otherwise.
import matplotlib.pyplot as plt
import numpy as np

from sklae import AutoencoderTransformer
from sklae.plotting import LatentSpaceDisplay

rng = np.random.default_rng(0)
n_rows, size = 8000, 100
phase = np.cumsum(rng.normal(0.05, 0.02, n_rows))
load = np.sin(np.cumsum(rng.normal(0.006, 0.02, n_rows)))
state = np.column_stack([np.sin(phase), load])
before, after = rng.normal(size=(2, 2, 8))
after[:, 3:] = before[:, 3:]
is_rewired = np.arange(n_rows) >= n_rows // 2
driven = np.where(is_rewired[:, None], state @ after, state @ before)
X = np.tanh(driven) + rng.normal(scale=0.05, size=(n_rows, 8))

# %%
# Judged, then learned from
# -------------------------
# Each chunk is first rebuilt by a model that has not seen it, then handed to ``partial_fit``, one pass each. Beside it
# is a model that was fitted to the first 2,000 rows and left at that. After the change both are wrong; one of them
# learns.
frozen = AutoencoderTransformer(2, max_iter=40, random_state=0).fit(X[:2000])
stream = AutoencoderTransformer(2, learning_rate_init=3e-3, batch_size=10, random_state=0)
errors = {"goes on learning": [], "fitted once": []}
for chunk in np.split(X, n_rows // size):
    for name, model in (("goes on learning", stream), ("fitted once", frozen)):
        known = hasattr(model, "n_iter_")
        errors[name].append(np.mean((model.reconstruct(chunk) - chunk) ** 2) if known else np.nan)
    stream.partial_fit(chunk)

# sphinx_gallery_thumbnail_number = 1
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for name, values in errors.items():
    ax.plot(size * np.arange(len(values)), values, label=name)
ax.axvline(n_rows // 2, color="grey", linestyle="--", label="rewired")
ax.set(xlabel="row", ylabel="squared error of the next chunk", yscale="log")
ax.legend(frameon=False)

# %%
# The state
# ---------
# Codes of the last 1,500 rows, by the model that went on learning, with the load that drives the sensors as colour. Two
# numbers are a state to watch, or to hand to a controller: the load can be read off them, and neighbours in time are
# neighbours here.
LatentSpaceDisplay.from_estimator(stream, X[-1500:], load[-1500:], y_name="load")
plt.show()
