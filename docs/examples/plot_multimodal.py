"""
One code for two kinds of data
==============================

A digit is a picture, and it is a word. One code for both is told by either, and tells the other: a word for a picture,
a picture for a word, or the lower half of a picture for the upper one.
"""

# %%
# Blocks of columns
# -----------------
# A likelihood for each block, and an encoder for each: ``"product_of_experts"`` multiplies what they think of the code,
# and leaves out blocks that are missing. ``"block_masking"`` hides blocks in training, so that each learns to speak
# for itself.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.plotting import LatentSpaceDisplay, ReconstructionDisplay, image_grid

digits = load_digits(as_frame=True)
pixels = list(digits.data)
words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
table = (digits.data / 16).assign(word=words[digits.target])
train, test = train_test_split(table, test_size=0.25, random_state=0)

blocks = [
    ("upper half", "gaussian", pixels[:32]),
    ("lower half", "gaussian", pixels[32:]),
    ("word", "categorical", ["word"]),
]
model = VAETransformer(
    10,
    likelihood=blocks,
    posterior="product_of_experts",
    corruption="block_masking",
    standardize=False,
    learning_rate="one_cycle",
    learning_rate_init=5e-3,
    max_iter=90,
    random_state=0,
).fit(train)

# %%
# From pictures to words
# ----------------------
# The word of new rows is hidden, or the word and half of the picture.
for name, hidden in {"the word": ["word"], "the word and the lower half": [*pixels[32:], "word"]}.items():
    seen = test.copy()
    seen[hidden] = np.nan
    right = np.mean(model.reconstruct(seen)["word"] == test["word"])
    print(f"without {name}: {right:.0%} of the words are right")

# %%
# From words to pictures
# ----------------------
# A word alone says little of the handwriting: what is expected is a mean digit. ``vary`` draws what else may be.
alone = pd.DataFrame(np.nan, index=range(10), columns=table.columns).assign(word=words)
expected = model.reconstruct(alone)[pixels]
drawn = model.vary(alone, n_samples=4, random_state=0)[pixels].to_numpy().reshape(10, 4, 64).swapaxes(0, 1)
ax = image_grid(np.concatenate([expected.to_numpy()[None], drawn]).reshape(-1, 64), (8, 8), n_columns=10, limits=(0, 1))
ax.set_xticks(9 * np.arange(10) + 3.5, words)
ax.set_yticks(9 * np.arange(5) + 3.5, ["expected", *(f"draw {i}" for i in range(1, 5))])
ax.tick_params(length=0)

# %%
# From half a picture to a whole one
# ----------------------------------
# Word and lower half are hidden.
seen = test.copy()
seen[[*pixels[32:], "word"]] = np.nan
rebuilt = model.reconstruct(seen)
ReconstructionDisplay.from_predictions(
    test[pixels][:10].to_numpy(), rebuilt[pixels][:10].to_numpy(), corrupted=seen[pixels][:10].to_numpy(), shape=(8, 8)
)

# %%
# One map
# -------
# Codes of new digits by their pictures alone, without the word: digits that share a word lie together nevertheless.
by_picture = test.copy()
by_picture["word"] = None
digits = test["word"].map({word: digit for digit, word in enumerate(words)}).astype(int)
LatentSpaceDisplay.from_estimator(model, by_picture, digits, method="tsne", random_state=0, y_name="digit")
plt.show()
