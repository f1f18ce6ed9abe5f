"""Kinds of evidence: what their terms are, which rows are trusted, and how several are joined."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.spatial.distance import pdist
from sklearn.datasets import load_breast_cancer
from sklearn.neighbors import NearestNeighbors
from support import make_table
from toys import ae, hurry, vae, with_gaps

from sklae import AEOutlierDetector
from sklae._outliers.combination import share_out
from sklae._outliers.scores import EVIDENCE, _Search
from sklae._outliers.trimming import clique

X = make_table(150, 5)
FAR = X[:4] + np.array([[5.0, 50.0, 1e6, 1e100]]).T * X.std(0)
# Of single kinds of evidence these say in the quick suite what holds for all.
QUICK_SCORES = ("reconstruction", "neighbors")
SCORES = [
    *(pytest.param(name, marks=() if name in QUICK_SCORES else pytest.mark.slow) for name in EVIDENCE),
    "combined",
    pytest.param(["elbo", "neighbors"], marks=pytest.mark.slow),
    pytest.param(["reconstruction", "elbo", "neighbors"], marks=pytest.mark.slow),
]


def fitted(anomaly_score, table=X, **params):
    model = vae(random_state=None, max_iter=20, learning_rate="one_cycle", likelihood="gaussian")
    params = {"n_estimators": 2, "cv": 2, **params}
    return AEOutlierDetector(model, anomaly_score=anomaly_score, random_state=0, **params).fit(table)


@pytest.fixture(params=SCORES, ids=str, scope="module")
def detector(request):
    return fitted(request.param)


# -- laws of every score -----------------------------------------------------------------------------------


def test_far_rows_are_ever_more_anomalous(detector):
    """Joined scores, too: no tail saturates."""
    scores = detector.score_samples(FAR)
    assert (np.diff(scores) < 0).all()
    assert scores.max() < detector.score_samples(X).min()
    assert np.isfinite(scores[:3]).all()


def test_rows_do_not_depend_on_their_neighbours(detector):
    rows = np.vstack([X[:20], FAR[:2]])
    scores = detector.score_samples(rows)
    order = np.random.RandomState(0).permutation(len(rows))
    np.testing.assert_allclose(detector.score_samples(rows[order]), scores[order], rtol=1e-9)
    np.testing.assert_allclose([detector.score_samples(row[None])[0] for row in rows], scores, rtol=1e-9)


def test_scores_do_not_depend_on_the_units(detector):
    units = np.array([1e-6, 1.0, 8.0, 1e3, 1e9])
    other = fitted(detector.anomaly_score, X * units)
    difference = other.score_samples(X * units) - detector.score_samples(X)
    spread = difference.std() if detector.anomaly_score == "elbo" else np.abs(difference)  # a density has units
    assert np.max(spread) < 0.05 * detector.score_samples(X).std()


@pytest.mark.parametrize("method", ["additive", "repair"])
def test_explanations_add_up(detector, method):
    rows = np.vstack([X[:10], FAR[:3], with_gaps(X[:10], 0.5), np.full((1, 5), np.nan)])
    scores = detector.score_samples(rows)
    contributions = detector.explain(rows, method=method)
    np.testing.assert_allclose(contributions.sum(axis=1), -scores, rtol=1e-9, atol=1e-9)
    gaps = np.isnan(rows)
    assert (contributions.to_numpy()[:, :5][gaps] == 0).all()


def test_gaps_say_nothing(detector):
    empty = np.full((2, 5), np.nan)
    scores = detector.score_samples(empty)
    assert scores[0] == scores[1]
    assert detector.predict(empty).tolist() == [1, 1]
    if detector.anomaly_score != "elbo":
        assert scores[0] == 0


def test_two_fits_agree(detector):
    again = fitted(detector.anomaly_score)
    assert np.array_equal(again.score_samples(X), detector.score_samples(X))
    assert again.offset_ == detector.offset_


# -- each kind ----------------------------------------------------------------------------------------------


def test_neighbours_are_the_nearest_other_rows():
    search = _Search(X)
    distances, _ = NearestNeighbors().fit(X).kneighbors(X, n_neighbors=6)
    np.testing.assert_allclose(search.mean_distance(X), distances[:, 1:].mean(1), rtol=1e-9)
    distances, _ = NearestNeighbors().fit(X).kneighbors(FAR[:2], n_neighbors=5)
    np.testing.assert_allclose(search.mean_distance(FAR[:2]), distances.mean(1), rtol=1e-9)


def test_copies_of_a_row_are_its_neighbours():
    assert _Search(np.repeat(X[:40], 7, axis=0)).mean_distance(X[:3]).tolist() == [0, 0, 0]


def test_the_bound_is_that_of_the_autoencoders():
    model = fitted("elbo", cv=None)
    wanted = np.mean([member.score_samples(X, n_importance_samples=1) for member in model.estimators_], axis=0)
    np.testing.assert_allclose(model.score_samples(X), wanted, rtol=1e-9)
    kl = np.mean([member.posterior_kl(X).sum(axis=1) for member in model.estimators_], axis=0)
    for method in ("additive", "repair"):
        terms = model.explain(X, method=method)
        assert terms.columns.tolist() == ["x0", "x1", "x2", "x3", "x4", "kl"]
        np.testing.assert_allclose(terms["kl"], kl, rtol=1e-6)


def test_the_bound_wants_a_density():
    from toys import ae

    with pytest.raises(ValueError, match=r"Got anomaly_score='elbo' with AutoencoderTransformer; expected a VAE"):
        AEOutlierDetector(ae(), anomaly_score="elbo").fit(X)
    with pytest.raises(ValueError, match="expected a VAETransformer whose posterior"):
        AEOutlierDetector(vae(posterior="point", divergence="mmd"), anomaly_score="elbo").fit(X)


@pytest.mark.parametrize("names", [[], ["elbo", "elbo"], ["neighbours"], ["combined", "elbo"]], ids=str)
def test_odd_lists_of_scores_are_refused(names):
    with pytest.raises(
        ValueError, match=r"Got anomaly_score=.*expected one or several of \['columns', 'elbo', 'mixture'"
    ):
        AEOutlierDetector(anomaly_score=names).fit(X)


def test_neighbours_are_looked_for_within_conditions():
    """Two groups, apart in the data: a row of one is strange under the other's name."""
    rng = np.random.RandomState(0)
    group = np.repeat([0.0, 1.0], 100)
    table = np.column_stack([rng.normal(size=(200, 2)) + 4 * group[:, None], group])
    model = AEOutlierDetector(vae(condition_features=[2], max_iter=20), anomaly_score="neighbors").fit(table)
    swapped = table.copy()
    swapped[:, 2] = 1 - group
    assert (model.score_samples(swapped) < model.score_samples(table)).mean() > 0.95
    assert (model.explain(table[:3])["x2"] == 0).all()


# -- tables with categories ---------------------------------------------------------------------------------

SITES = ["east", "north", "south", "west"]
LEVELS = ["low", "mid", "high", "top"]


def mixed(n=300, seed=0):
    """Return a table in which sites, levels and numbers go together, and the codes of the sites."""
    rng = np.random.RandomState(seed)
    site = rng.randint(4, size=n)
    warmth = 10.0 * site + rng.normal(size=n)
    level = np.clip(np.round(warmth / 10).astype(int), 0, 3)
    return pd.DataFrame(
        {
            "warmth": warmth,
            "site": np.array(SITES, object)[site],
            "level": pd.Categorical(np.array(LEVELS)[level], categories=LEVELS, ordered=True),
            "cost": 5.0 - warmth + rng.normal(size=n),
            "is_far": site > 1,
            "count": rng.poisson(3.0, size=n),
        }
    )


def as_polars(frame):
    columns = {name: frame[name].tolist() for name in frame}
    return pl.DataFrame(columns, schema_overrides={"level": pl.Enum(LEVELS)})


LIBRARIES = {"pandas": lambda frame: frame, "polars": as_polars}


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


def test_a_wrong_level_comes_first_and_is_named_and_mended(library):
    """Each of the levels is frequent: none is strange by itself."""
    frame = mixed()
    truth = frame.loc[7, "site"]
    frame.loc[7, "site"] = {"east": "west", "north": "west", "south": "east", "west": "east"}[truth]
    table = library(frame)
    model = AEOutlierDetector(random_state=0).fit(table)
    scores = model.score_samples(table)
    assert scores.argmin() == 7
    assert model.predict(table)[7] == -1
    why, expected = model.explain(table[5:9], return_expected=True)
    assert type(why) is type(expected) is type(table)
    assert list(why.columns) == list(expected.columns) == list(table.columns)
    np.testing.assert_allclose(why.to_numpy().sum(axis=1), -scores[5:9], rtol=1e-9)
    assert why.columns[why.to_numpy()[2].argmax()] == "site"
    assert expected["site"].to_list() == [*frame["site"][5:7], truth, frame["site"][8]]
    assert list(expected.dtypes) == list(table.dtypes)


@pytest.fixture(scope="module")
def of_levels():
    frame = mixed(seed=1)
    return frame, AEOutlierDetector(random_state=0).fit(frame[:250])


@pytest.mark.parametrize("column", ["site", "level", "is_far"])
def test_repair_gives_levels_back(column, of_levels):
    frame, model = of_levels
    rows = frame[250:].copy()
    swapped = rows.copy()
    swapped[column] = rows[column].to_numpy()[::-1]
    moved = (swapped[column] != rows[column]).to_numpy()
    why, expected = model.explain(swapped[moved], return_expected=True)
    assert (expected[column] == rows[column][moved]).mean() > 0.8
    assert (why.idxmax(axis=1) == column).mean() > 0.8
    assert (model.score_samples(swapped)[moved] < model.score_samples(rows)[moved]).mean() > 0.95


@pytest.mark.parametrize("anomaly_score", SCORES, ids=str)
def test_an_unseen_level_is_a_gap_and_gaps_say_nothing(anomaly_score, library, monkeypatch):
    hurry(monkeypatch)
    model = AEOutlierDetector(anomaly_score=anomaly_score, random_state=0).fit(library(mixed()))
    unseen, empty = mixed()[:4], mixed()[:4]
    unseen["site"] = "elsewhere"
    empty["site"] = None
    scores = model.score_samples(library(empty))
    assert np.array_equal(model.score_samples(library(unseen)), scores)
    assert np.isfinite(scores).all()
    for method in ("repair", "additive"):
        why = model.explain(library(unseen), method=method)
        assert (why["site"].to_numpy() == 0).all()
        np.testing.assert_allclose(why.to_numpy().sum(axis=1), -scores, rtol=1e-9)


def test_a_table_of_categories_alone_with_gaps_is_scored():
    frame = mixed()[["site", "level", "is_far"]].astype({"site": object, "is_far": object})
    frame.iloc[3:40:2, 0] = frame.iloc[50:90:2, 2] = None
    model = AEOutlierDetector(random_state=0).fit(frame)
    impossible = frame[:1].assign(site="east", level=pd.Categorical(["top"], LEVELS, ordered=True), is_far=True)
    assert model.score_samples(impossible) < model.score_samples(frame).min()


def test_every_column_has_the_same_part_in_a_usual_row():
    """Of many levels or few: neither drowns the other."""
    rng = np.random.RandomState(0)
    frame = mixed().assign(many=rng.choice([f"level {i}" for i in range(40)], 300))
    model = AEOutlierDetector(anomaly_score="reconstruction", cv=None, random_state=0).fit(frame)
    parts = model.explain(frame, method="additive").mean()
    np.testing.assert_allclose(parts, 1 / frame.shape[1], rtol=1e-9)
    assert model.residual_scale_.shape == (frame.shape[1],)


def test_a_category_is_as_far_from_another_as_a_number_of_its_variance():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200), "kind": rng.choice(list("uvw"), 200)})
    frame["flag"] = rng.uniform(size=200) < 0.2
    space = AEOutlierDetector(anomaly_score="neighbors", random_state=0).fit(frame)._joint.space
    coded = frame.assign(kind=frame["kind"].map({"u": 0.0, "v": 1.0, "w": 2.0})).to_numpy(float)
    found = space.see(coded).points
    hot = (frame["kind"].to_numpy()[:, None] == list("uvw")).astype(float)
    numbers = frame[["a", "b", "flag"]].to_numpy(float)
    points = np.hstack([numbers / numbers.std(0), hot / np.sqrt(hot.var(0).sum())])
    np.testing.assert_allclose(pdist(found), pdist(points), rtol=1e-9)


@pytest.mark.parametrize("anomaly_score", ["reconstruction", "neighbors"])
def test_ordered_levels_are_the_stranger_the_farther_they_are(anomaly_score):
    frame = mixed()
    model = AEOutlierDetector(anomaly_score=anomaly_score, random_state=0).fit(frame)
    lowest = frame[(frame["level"] == "low").to_numpy()][:20]
    terms = [
        model.explain(lowest.assign(level=pd.Categorical([level] * 20, LEVELS, ordered=True)), method="additive")
        for level in LEVELS
    ]
    assert (np.diff([term["level"].median() for term in terms]) > 0).all()


def test_a_constant_category_counts_when_it_changes():
    frame = mixed().assign(same=True)
    model = AEOutlierDetector(random_state=0).fit(frame)
    scores = model.score_samples(pd.concat([frame[:1], frame[:1].assign(same=False)]))
    assert scores[1] < model.offset_ < scores[0]
    table = np.column_stack([frame[["warmth", "cost"]], np.full(300, 7.0)])
    kinds = [("numbers", "gaussian", [0, 1]), ("kind", "categorical", [2])]
    model = AEOutlierDetector(vae(likelihood=kinds), anomaly_score="reconstruction").fit(table)
    scores = model.score_samples(np.vstack([table[0], [*table[0, :2], 2.0]]))
    assert scores[1] < model.offset_ < scores[0]


# -- which rows to trust ------------------------------------------------------------------------------------


def crowd(seed=0):
    """Return usual rows and, at the end, twelve that resemble each other and nothing else."""
    rng = np.random.RandomState(seed)
    usual = make_table(300, 5, seed)
    return np.vstack([usual, usual.mean(0) + usual.std(0) * (4 + 0.1 * rng.normal(size=(12, 5)))])


def test_outliers_that_vouch_for_each_other_are_left_out():
    table = crowd()
    trusting = AEOutlierDetector(support_fraction=1.0, anomaly_score="neighbors", random_state=0).fit(table)
    wary = AEOutlierDetector(anomaly_score="neighbors", random_state=0).fit(table)
    assert set(range(300, 312)) <= set(wary.left_out_)
    assert wary.support_fraction_ == 1 - len(wary.left_out_) / 312
    assert len(wary.left_out_) < 40
    ranks = [model.score_samples(table).argsort().argsort()[300:].mean() for model in (wary, trusting)]
    assert ranks[0] < ranks[1]
    assert trusting.left_out_.size == 0


@pytest.mark.parametrize("n_features", [3, 6, 20])
def test_nearly_all_of_clean_rows_are_trusted(n_features):
    points = np.random.RandomState(0).normal(size=(500, n_features))
    assert len(clique((points**2).sum(1), points)) <= 0.1 * 500


@pytest.mark.parametrize("fraction", [0.6, 0.9, 1.0])
def test_a_given_fraction_is_trusted(fraction):
    model = AEOutlierDetector(support_fraction=fraction, random_state=0).fit(X)
    assert model.support_fraction_ == pytest.approx(fraction)
    assert len(model.left_out_) == round((1 - fraction) * len(X))
    if len(model.left_out_):
        distance = np.square(X / X.std(0) - (X / X.std(0)).mean(0)).sum(1)
        assert distance[model.left_out_].mean() > np.delete(distance, model.left_out_).mean()


def test_none_is_auto():
    one, other = (AEOutlierDetector(support_fraction=value, random_state=0).fit(X) for value in (None, "auto"))
    assert np.array_equal(one.score_samples(X), other.score_samples(X))


@pytest.mark.parametrize("max_samples", [60, 0.4])
def test_a_sample_of_the_rows_is_enough(max_samples):
    model = AEOutlierDetector(max_samples=max_samples, random_state=0).fit(X)
    trained_on = sum(row["train_batch_size"] for row in model.autoencoder_.net_.history[0, "batches"])
    assert trained_on == 60
    np.testing.assert_allclose(model.autoencoder_.layout_.mean, X.mean(0))  # columns are those of all rows
    assert model.predict(FAR).tolist() == [-1] * 4


# -- sharing out --------------------------------------------------------------------------------------------


def test_shares_add_up_whatever_the_weights():
    there = np.array([[True, True, False]] * 5)
    weights = np.array([[1, 3, 0], [0, 0, 0], [np.inf, 2, 0], [np.inf, np.inf, 0], [1e300, 1e300, 0]])
    shares = share_out(np.array([8.0, 8.0, 8.0, np.inf, 8.0]), weights, there)
    wanted = [[2, 6, 0], [4, 4, 0], [8, 0, 0], [np.inf, np.inf, 0], [4, 4, 0]]
    np.testing.assert_allclose(shares, wanted)


# -- right about the cell -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tumours():
    table = load_breast_cancer(as_frame=True).data
    return table, AEOutlierDetector(random_state=0).fit(table[:400])


@pytest.mark.parametrize("method", ["repair", "additive"])
def test_a_shifted_cell_is_named_first(tumours, method):
    table, model = tumours
    rng = np.random.RandomState(0)
    rows = table[400:460].copy()
    columns = rng.randint(30, size=60)
    truth = rows.to_numpy()[np.arange(60), columns].copy()
    for i, j in enumerate(columns):
        rows.iloc[i, j] += 4 * table.iloc[:, j].std()
    contributions, expected = model.explain(rows, method=method, return_expected=True)
    found = contributions.to_numpy().argmax(axis=1) == columns
    assert found.mean() >= {"repair": 0.95, "additive": 0.85}[method]
    if method == "repair":  # what was there before is expected there, or near it
        misses = np.abs(expected.to_numpy()[np.arange(60), columns] - truth) / table.std().to_numpy()[columns]
        assert np.median(misses) < 0.5
    assert contributions.index.equals(rows.index)
    assert list(contributions) == list(expected) == list(table)


def test_counts_are_expected_to_be_counts():
    """The mean of neighbours would be a fraction, which the likelihood refuses."""
    counts = np.random.RandomState(0).poisson(3.0, size=(100, 3)).astype(float)
    kinds = [("kinds", "categorical", [0]), ("counts", "poisson", [1, 2])]
    model = AEOutlierDetector(vae(likelihood=kinds, max_iter=3), anomaly_score=["elbo", "neighbors"], random_state=0)
    contributions, expected = model.fit(counts).explain(counts[:5], return_expected=True)
    np.testing.assert_allclose(contributions.sum(axis=1), -model.score_samples(counts[:5]), rtol=1e-9)
    assert set(expected["x0"]) <= set(counts[:, 0])


def test_odd_methods_are_refused(tumours):
    with pytest.raises(ValueError, match=r"Got method='shap'; expected one of \['additive', 'repair'\]"):
        tumours[1].explain(tumours[0][:1], method="shap")


def test_explaining_changes_nothing(tumours):
    table, model = tumours
    rows = table[:20].copy()
    before = model.score_samples(rows)
    model.explain(rows)
    assert rows.equals(table[:20])
    assert np.array_equal(model.score_samples(rows), before)


def test_explanations_come_in_the_library_that_was_fitted():
    frame = pl.DataFrame(X, schema=list("abcde"))
    model = AEOutlierDetector(random_state=0).fit(frame)
    contributions, expected = model.explain(frame[:3], return_expected=True)
    assert isinstance(contributions, pl.DataFrame)
    assert contributions.columns == expected.columns == list("abcde")
    assert isinstance(fitted("neighbors").explain(X[:3]), pd.DataFrame)


def test_a_column_called_kl_keeps_its_name():
    frame = pd.DataFrame(X, columns=["kl", "b", "c", "d", "kl_"])
    assert list(fitted("elbo", frame).explain(frame[:2], method="additive")) == ["kl", "b", "c", "d", "kl_", "kl__"]


def test_columns_of_numbers_without_full_precision_are_scored():
    """Nothing overflows in quotients of the smallest numbers there are."""
    tiny = np.array([1.5e-323, 3e-323, 3e-323, 1.5e-323, 5e-324, 5e-324] * 2)
    table = pd.DataFrame({"kind": list("xyxxxy") * 2, "tiny": tiny})
    for support_fraction in (1.0, 0.6):
        detector = AEOutlierDetector(ae(max_iter=1), support_fraction=support_fraction, random_state=0).fit(table)
        assert np.isfinite(detector.score_samples(table)).all()
