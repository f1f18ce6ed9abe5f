"""`Blocks`: a likelihood per block of columns is its parts side by side, and nothing else."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from support import QUICK, into_support, make_layout, make_table, randomized, seeded

from sklae import AutoencoderTransformer, VAETransformer
from sklae._tables.columns import Columns
from sklae.likelihoods import LIKELIHOODS, Bernoulli, Blocks, Categorical, Gaussian, LogNormal, Mixed, Poisson

#: Likelihoods and columns of a table of six.
PARTS = {
    "real": (Gaussian("per_feature"), [0, 4]),
    "kinds": (Categorical(), [1]),
    "counts": (Poisson(), [5, 2]),
    "sizes": (LogNormal(0.5), [3]),
}
OUT_OF_ORDER = Blocks([(name, part, columns) for name, (part, columns) in PARTS.items()])
IN_ORDER = Blocks([("a", "gaussian", [0]), ("b", "continuous_bernoulli", slice(1, 4)), ("c", "poisson", [4, 5])])


def _together(blocks):
    """Return the density of all columns, those of each block, and their columns."""
    layout = make_layout(6, likelihood=blocks)
    density = randomized(blocks.build(layout)).double()
    columns = [indices for _, _, indices in blocks.assign(layout.columns)]
    return layout, density, list(zip(density.densities, columns, strict=True))


@pytest.mark.parametrize("blocks", [OUT_OF_ORDER, IN_ORDER], ids=["out of order", "in order"])
@pytest.mark.parametrize("gaps", [False, True])
def test_blocks_are_their_parts(blocks, gaps):
    layout, density, parts = _together(blocks)
    x = layout.encode(into_support(make_table(50, 6), blocks), dtype=torch.float64).x
    observed = torch.bernoulli(torch.full_like(x, 0.7), generator=seeded(1)) if gaps else None
    params = torch.randn(50, density.n_outputs(6), generator=seeded(2), dtype=torch.float64)

    terms, norms, means = (torch.full_like(x, np.nan) for _ in range(3))
    seen, start = [], 0
    for part, columns in parts:
        width = part.n_outputs(len(columns))
        own, start = params[:, start : start + width], start + width
        terms[:, columns] = part.energy(own, x[:, columns])
        norms[:, columns] = torch.as_tensor(part.log_norm(), dtype=torch.float64).expand(len(columns))
        means[:, columns] = part.mean(own)
        seen.append(part.inputs(x[:, columns], None if observed is None else observed[:, columns]))
    assert start == params.shape[1], "decoder outputs are left over"

    torch.testing.assert_close(density.energy(params, x), terms)
    torch.testing.assert_close(density.log_norm(), norms[0])
    torch.testing.assert_close(density.log_prob(params, x), -(terms + norms))
    assert torch.equal(density.mean(params), means)
    assert all(map(torch.equal, density.block_inputs(x, observed), seen))
    assert torch.equal(density.inputs(x, observed), torch.cat(seen, 1))
    assert density.block_n_inputs == [part.shape[1] for part in seen]
    assert density.n_inputs(6) == sum(density.block_n_inputs)


def test_blocks_sample_what_their_parts_do():
    _, density, parts = _together(OUT_OF_ORDER)
    params = torch.randn(30, density.n_outputs(6), generator=seeded(2), dtype=torch.float64)
    draws, generator, start = density.sample(params, seeded(3)), seeded(3), 0
    for part, columns in parts:
        width = part.n_outputs(len(columns))
        assert torch.equal(draws[:, columns], part.sample(params[:, start : start + width], generator))
        start += width


def test_one_block_of_all_columns_is_the_likelihood_itself():
    X = make_table(80, 4)
    alone = VAETransformer(2, likelihood=Gaussian("per_feature"), **QUICK).fit(X)
    blocks = VAETransformer(2, likelihood=Blocks([("x", Gaussian("per_feature"), slice(None))]), **QUICK).fit(X)
    np.testing.assert_allclose(blocks.score_samples(X), alone.score_samples(X), rtol=1e-5)
    np.testing.assert_allclose(blocks.reconstruct(X), alone.reconstruct(X), rtol=1e-4)


def test_blocks_leave_columns_on_their_scales():
    """Standardised where the likelihood of the column wants it, and scored in the units of the table."""
    X = np.column_stack([make_table(100, 3), np.random.RandomState(0).poisson(3.0, size=(100, 2))])
    blocks = Blocks([("real", "gaussian", slice(0, 3)), ("counts", "poisson", slice(3, 5))])
    for cls in (AutoencoderTransformer, VAETransformer):
        fitted = cls(2, likelihood=blocks, **QUICK).fit(X)
        assert np.array_equal(fitted.layout_.scaling.scale[3:], [1.0, 1.0])
        assert np.allclose(fitted.layout_.scaling.scale[:3], X[:, :3].std(0))
        scores = fitted.score_samples(X)
        scaled = X * np.array([1e3, 1.0, 1.0, 1.0, 1.0])
        np.testing.assert_allclose(fitted.fit(scaled).score_samples(scaled), scores - np.log(1e3), atol=1e-3)
    rows = fitted.sample(20, random_state=0)
    assert np.array_equal(rows[:, 3:], rows[:, 3:].round())
    assert not np.array_equal(rows[:, :3], rows[:, :3].round())


def test_columns_are_found_by_name_position_slice_and_mask():
    frame = pd.DataFrame(make_table(5, 4), columns=list("abcd"))
    columns = Columns.fit(frame)
    spellings = [("a", ["b", "d"], "c"), (0, [1, 3], [2]), (slice(1), [False, True, False, True], [-2])]
    for first, second, third in spellings:
        blocks = Blocks([("x", "gaussian", first), ("y", "bernoulli", second), ("z", "poisson", third)])
        found = [indices.tolist() for _, _, indices in blocks.assign(columns)]
        assert found == [[0], [1, 3], [2]]


def test_blocks_without_columns_are_left_out():
    blocks = Blocks(
        [("none", "poisson", []), ("all", "gaussian", slice(None)), ("beyond", "bernoulli", slice(9, None))]
    )
    assert [name for name, *_ in blocks.assign(Columns.fit(make_table(5, 3)))] == ["all"]


ALL = slice(None)
REFUSED = {
    "overlap": (
        [("a", "gaussian", [0, 1]), ("b", "poisson", [1, 2])],
        r"columns \[1\] in several blocks, \['a', 'b'\]",
    ),
    "uncovered": ([("a", "gaussian", [0])], r"no block for columns \[1, 2\]; expected each column in one"),
    "same name": ([("a", "gaussian", [0]), ("a", "poisson", [1, 2])], r"blocks of the same name: \['a'\].*Rename"),
    "dunder": ([("a__b", "gaussian", ALL)], "'a__b' as the name of a block; expected text without '__'"),
    "reserved": ([("blocks", "gaussian", ALL)], "'blocks' as the name of a block"),
    "no text": ([(1, "gaussian", ALL)], "Got 1 as the name of a block"),
    "unknown": ([("a", "gausian", ALL)], "'gausian' as the likelihood of block 'a'; expected one of.*'gaussian'"),
    "class": ([("a", Gaussian, ALL)], "as the likelihood of block 'a'; expected one of"),
    "nested": ([("a", Blocks([("b", "gaussian", ALL)]), ALL)], "other than Blocks"),
    "pairs": ([("a", "gaussian")], r"expected a list of \(name, likelihood, columns\)"),
    "empty": ([], r"expected a list of \(name, likelihood, columns\)"),
    "no column": ([("a", "gaussian", [0, 1, 7])], "columns of block 'a'.*7"),
    "wrong setting": ([("a", Gaussian(-1.0), ALL)], "'scale' parameter of Gaussian"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_blocks_that_make_no_model_are_refused(case):
    blocks, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        Blocks(blocks).assign(Columns.fit(make_table(5, 3)))
    with pytest.raises(ValueError, match=message):
        VAETransformer(likelihood=Blocks(blocks), **QUICK).fit(make_table(20, 3))


def test_errors_name_the_columns_of_frames():
    frame = pd.DataFrame(make_table(20, 8), columns=list("abcdefgh"))
    with pytest.raises(ValueError, match=r"no block for columns \['b', 'c', 'd', 'e', 'f'\] and 2 more"):
        VAETransformer(likelihood=Blocks([("first", "gaussian", "a")]), **QUICK).fit(frame)


def test_values_outside_a_blocks_support_are_refused():
    X = np.column_stack([make_table(30, 2), np.random.RandomState(0).poisson(3.0, size=30)])
    vae = VAETransformer(2, likelihood=Blocks([("r", "gaussian", [0, 1]), ("c", "poisson", [2])]), **QUICK).fit(X)
    vae.score_samples(X - [100.0, 100.0, 0.0])
    with pytest.raises(ValueError, match=r"such as .*expected non-negative integers"):
        vae.score_samples(X + 0.5)


def test_blocks_have_nested_parameters():
    blocks = Blocks([("real", Gaussian(), [0]), ("bits", "bernoulli", [1])])
    vae = VAETransformer(likelihood=blocks)
    assert vae.get_params()["likelihood__real__scale"] == "shared"
    vae.set_params(likelihood__real__scale="per_feature", likelihood__bits="continuous_bernoulli")
    assert (
        repr(blocks.blocks) == "[('real', Gaussian(scale='per_feature'), [0]), ('bits', 'continuous_bernoulli', [1])]"
    )
    copied = clone(vae).likelihood
    assert repr(copied) == repr(blocks)
    assert copied.blocks[0][1] is not blocks.blocks[0][1]
    assert repr(pickle.loads(pickle.dumps(blocks))) == repr(blocks)
    assert blocks.set_params(blocks=[("all", "gaussian", [0])]).get_params() == {
        "blocks": [("all", "gaussian", [0])],
        "all": "gaussian",
    }
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        blocks.set_params(nothing=1)


def test_callers_blocks_are_never_changed():
    part = Bernoulli()
    blocks = Blocks([("a", part, [0]), ("b", "gaussian", [1, 2])])
    assigned = blocks.assign(Columns.fit(make_table(5, 3)))
    assert assigned[0][1] is not part
    assert blocks.blocks[0][1] is part
    assert isinstance(assigned[1][1], LIKELIHOODS["gaussian"])


# -- what "auto" stands for -----------------------------------------------------------------------------


def _long_table(n, *, with_text=True):
    rng = np.random.RandomState(0)
    gain = np.where(rng.uniform(size=n) < 0.8, 0.0, np.round(rng.lognormal(6.0, 1.0, n)))
    frame = pd.DataFrame({"gain": gain, "age": rng.randint(17, 80, n), "kind": np.where(gain > 0, "x", "y")})
    return frame if with_text else frame.drop(columns="kind")


@pytest.mark.parametrize(
    ("n", "with_text", "histogram"), [(1000, True, True), (999, True, False), (1200, False, False)]
)
def test_numbers_of_long_tables_with_categories_are_as_they_are(n, with_text, histogram):
    frame = _long_table(n, with_text=with_text)
    vae = VAETransformer(2, max_iter=2, n_iter_no_change=np.inf, random_state=0).fit(frame)
    drawn = vae.sample(500, random_state=0)
    assert (drawn["gain"] >= 0).all() == histogram
    assert (np.mean(drawn["gain"] == 0) > 0.5) == histogram
    assert vae.likelihood == "auto"


def test_pieces_do_not_say_where_values_lie():
    frame = _long_table(2000)
    vae = VAETransformer(2, random_state=0)
    for piece in (frame[:1000], frame[1000:]):
        vae.partial_fit(piece)
    assert (vae.sample(300, random_state=0)["gain"] < 0).any()


def test_likelihoods_by_kind_stand_in_blocks():
    """What each of their parts asks of its columns (bins, no scaling, whole numbers) is heard."""
    rng = np.random.default_rng(0)
    kinds = np.array(list("uvw"))[rng.integers(0, 3, 80)]
    table = pd.DataFrame({"a": rng.normal(5.0, 2.0, 80), "n": rng.poisson(3, 80), "k": kinds})
    nested = [("x", Mixed("histogram"), ["a", "k"]), ("y", Mixed(count_features="n"), ["n"])]
    flat = [("a", "histogram", ["a"]), ("k", "categorical", ["k"]), ("n", "negative_binomial", ["n"])]
    models = [VAETransformer(2, likelihood=blocks, **QUICK).fit(table) for blocks in (nested, flat)]
    for name in ("offset", "scale", "varies"):
        np.testing.assert_array_equal(*(getattr(model.layout_.scaling, name) for model in models))
    for model in models:
        assert np.isfinite(model.score_samples(table)).all()
        drawn = model.sample(20, random_state=0)
        assert drawn["a"].between(table["a"].min(), table["a"].max()).all()
        assert (drawn["n"] >= 0).all()
    with pytest.raises(ValueError, match="expected non-negative integers"):
        VAETransformer(2, likelihood=nested, **QUICK).fit(table.assign(n=-table["n"]))
