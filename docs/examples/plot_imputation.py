"""
Gaps in a table, holes in a picture
===================================

`AEImputer` fills missing cells with what is expected there, given the row's other cells. A picture is a row of pixels:
the same call paints over what is hidden of it.
"""

# %%
# A table
# -------
# A fifth of the cells of 178 wines is removed. Half of the wines are there to learn from, with their gaps; the other
# half is filled as new rows. Errors are in standard deviations of the column: filling in means leaves about 1.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split

from sklae import AEImputer, VAETransformer
from sklae.plotting import image_grid

wine = load_wine(as_frame=True).data
wine = (wine - wine.mean()) / wine.std()
rng = np.random.default_rng(0)
gappy = wine.mask(rng.random(wine.shape) < 0.2)
train, test = train_test_split(gappy, test_size=0.5, random_state=0)
truth = wine.loc[test.index].to_numpy()


def error(filled, truth, gaps):
    """Return the root mean squared error of the filled cells."""
    return np.sqrt(np.mean((np.asarray(filled) - truth)[gaps] ** 2))


imputer = AEImputer(random_state=0)
for model in (SimpleImputer(), KNNImputer(), imputer):
    filled = model.fit(train).transform(test)
    print(f"{type(model).__name__:14} {error(filled, truth, test.isna()):.3f}")

# %%
# Where the network helps
# -----------------------
# The imputer starts from a normal distribution, and believes its networks as far as they help on cells that neither has
# seen, column by column. The account says how far that is, by how many cells, and what was gained.
print(imputer.account_)

# %%
# Digits with a hole
# ------------------
# Of each image a square of four by four pixels is hidden, one in four of all pixels, and never shown. A model of one's
# own goes into the imputer: here a variational autoencoder of pixels in one unit, ink, without the normal start.
digits = load_digits().data / 16


def with_holes(images):
    """Return a copy of the images, NaN in a square of each."""
    holed = images.reshape(-1, 8, 8).copy()
    for image, (up, left) in zip(holed, rng.integers(0, 5, size=(len(images), 2)), strict=True):
        image[up : up + 4, left : left + 4] = np.nan
    return holed.reshape(-1, 64)


whole, truth = train_test_split(digits, test_size=300, random_state=0)
known, holed = with_holes(whole), with_holes(truth)
vae = VAETransformer(
    10,
    likelihood="gaussian",
    standardize=False,
    hidden_layer_sizes=(256,),
    learning_rate="one_cycle",
    learning_rate_init=3e-3,
    max_iter=100,
)
painter = AEImputer(vae, linear_start=False, random_state=0).fit(known)
painted = painter.transform(holed)
for name, filled in {
    "SimpleImputer": SimpleImputer().fit(known).transform(holed),
    "KNNImputer": KNNImputer().fit(known).transform(holed),
    "AEImputer": painted,
}.items():
    print(f"{name:14} {error(filled, truth, np.isnan(holed)):.3f}")

# %%
# Neighbours do a little better: most of these small pictures have a near twin by the same hand among the others. But
# they give one answer only.

# %%
# What may have been there
# ------------------------
# A mean is blurred where several answers are possible. ``n_imputations`` asks for as many filled tables, which are
# draws. Grey specks are the likelihood's noise.
painter.set_params(n_imputations=3)
draws = painter.transform(holed)
shown = np.arange(10)
lines = np.stack([holed[shown], painted[shown], *(draw[shown] for draw in draws), truth[shown]])

# sphinx_gallery_thumbnail_number = 1
figure, ax = plt.subplots(figsize=(6.5, 4.1), layout="constrained")
image_grid(np.nan_to_num(lines.reshape(-1, 64), nan=0.5), (8, 8), n_columns=10, limits=(0, 1), ax=ax)
ax.set_yticks(9 * np.arange(len(lines)) + 3.5, ["given", "expected", *(f"draw {i}" for i in range(1, 4)), "truth"])
ax.tick_params(length=0)
plt.show()
