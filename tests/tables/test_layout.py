"""The layout: columns to encoded tensors and back, in bounded memory."""

import dataclasses
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.stats import norm
from sklearn.base import BaseEstimator
from support import make_table
from toys import with_gaps

from sklae._tables import layout as _layout
from sklae._tables.columns import Columns
from sklae._tables.frames import rows_of
from sklae._tables.layout import Layout
from sklae._tables.validation import check_table

X = make_table(50, 3)
REACH = ("minimum", "maximum")


def fit(table, *, rows=None, standardize=True, source=None):
    values = np.asarray(table)
    columns = Columns.fit(values) if source is None else Columns.fit(source)
    return Layout.fit(values, rows=rows, standardize=standardize, columns=columns)


def encode(layout, table, **kwargs):
    x, observed, _ = layout.encode(table, dtype=torch.float64, **kwargs)
    return x.numpy(), None if observed is None else observed.numpy()


def assert_equal_layouts(found, wanted, rtol=0.0):
    for field in fields(Layout):
        a, b = (getattr(layout, field.name) for layout in (found, wanted))
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=field.name)
        elif field.name == "scaling":
            for name in vars(b):
                np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol, err_msg=name)
        elif field.name == "frequencies":
            assert all(map(np.array_equal, a, b))
        elif field.name == "grids":
            for one, other in zip(a, b, strict=True):
                np.testing.assert_allclose(one.low, other.low, rtol=rtol)
                assert np.array_equal(one.share, other.share)
        elif field.name not in ("columns", "conditions", "blocks"):
            assert a == b, field.name


# -- encoding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_encoded_columns_have_mean_0_and_deviation_1(dtype):
    table = X.astype(dtype)
    layout = fit(table)
    x, observed = encode(layout, table)
    assert observed is None
    np.testing.assert_allclose(x.mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(x.std(0), 1.0, rtol=1e-6)
    np.testing.assert_allclose([layout.minimum, layout.maximum], [x.min(0), x.max(0)], rtol=1e-12)
    assert layout.dtype == dtype
    assert layout.encode(table)[0].dtype == torch.float32


def test_encoding_makes_a_tensor_of_its_own():
    for standardize in (True, False):
        table = X.astype(np.float32)
        x = fit(table, standardize=standardize).encode(table).x
        x.zero_()
        assert np.array_equal(table, X.astype(np.float32))


def test_nothing_is_scaled_without_standardize():
    layout = fit(X, standardize=False)
    assert np.array_equal(encode(layout, X)[0], X)
    np.testing.assert_allclose(layout.fill, X.mean(0))
    assert np.array_equal(layout.log_jacobian, np.zeros(3))


@pytest.mark.parametrize("standardize", [True, False])
def test_gaps_hold_the_mean_and_are_marked(standardize):
    table = with_gaps(X, 0.3)
    layout = fit(table, standardize=standardize)
    assert layout.has_missing
    np.testing.assert_allclose(layout.mean, np.nanmean(table, axis=0), rtol=1e-12)
    np.testing.assert_allclose(layout.deviation, np.nanstd(table, axis=0), rtol=1e-12)
    x, observed = encode(layout, table)
    assert np.array_equal(observed == 0, np.isnan(table))
    filled = np.where(np.isnan(table), np.nanmean(table, axis=0), table)
    np.testing.assert_allclose(layout.decode(x), filled, rtol=1e-12)


def test_the_mask_is_there_if_fit_or_the_rows_have_gaps():
    table = with_gaps(X)
    assert fit(X).encode(X)[1] is None
    assert np.array_equal(encode(fit(X), table)[1], ~np.isnan(table))
    assert np.array_equal(encode(fit(table), X)[1], np.ones_like(X))


@pytest.mark.parametrize("standardize", [True, False])
def test_constant_columns_stay_constant(standardize):
    table = np.column_stack([X[:, 0], np.full(50, 7.5), X[:, 1]])
    layout = fit(table, standardize=standardize)
    assert layout.varies.tolist() == [True, False, True]
    changed = table.copy()
    changed[:, 1] = np.linspace(-1e6, 1e6, 50)
    assert np.array_equal(encode(layout, changed)[0], encode(layout, table)[0])
    np.testing.assert_allclose(layout.decode(np.ones((2, 3)))[:, 1], 7.5)
    assert layout.log_jacobian[1] == 0.0


def test_gaps_in_columns_that_do_not_vary_are_none():
    """They are no evidence, whatever stands in them: a gap tells no more than another value."""
    whole = np.column_stack([X[:, 0], np.full(50, 7.5), X[:, 1]])
    table = whole.copy()
    table[10:20, 1] = np.nan
    assert not fit(table).has_missing
    assert encode(fit(table), table)[1] is None
    assert np.array_equal(encode(fit(table), table)[0], encode(fit(whole), whole)[0])
    table[5, 0] = np.nan
    layout = fit(table)
    assert layout.has_missing
    wanted = np.ones((50, 3))
    wanted[5, 0] = 0.0
    assert np.array_equal(encode(layout, table)[1], wanted)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e12, -1e-12, 1e150])
def test_rounding_does_not_make_a_constant_column_vary(level):
    column = np.full(50, level) * (1 + np.finfo(float).eps * np.random.RandomState(0).randint(-1, 2, size=50))
    assert fit(np.column_stack([X[:, 0], column])).varies.tolist() == [True, False]


@pytest.mark.parametrize("standardize", [True, False])
def test_the_range_of_a_constant_column_is_its_constant(standardize):
    """Not the rounding error of its mean, which is large in other units."""
    layout = fit(np.column_stack([X, np.full((50, 3), [0.1, 1e21 / 3, 1e-21])]), standardize=standardize)
    for bound in (layout.minimum, layout.maximum):
        assert np.array_equal(bound[3:], layout.fill[3:])


@pytest.mark.parametrize("scale", [1e-140, 1e-30, 1.0, 1e30, 1e140])
def test_any_scale_that_varies_is_brought_to_1(scale):
    layout = fit(X * scale)
    assert layout.varies.all()
    x, _ = encode(layout, X * scale)
    np.testing.assert_allclose(x, (X - X.mean(0)) / X.std(0), rtol=1e-9, atol=1e-9)


def test_a_share_of_the_rows_sets_the_scaling():
    rows = np.arange(0, 50, 3)
    layout = fit(X, rows=rows)
    # but how far the columns reach is read from all rows: levels of categories that only the others have are levels
    part = fit(X[rows])
    scaling, whole = part.scaling, fit(X).scaling
    reach = {
        name: (getattr(whole, name) * whole.scale + whole.offset - scaling.offset) / scaling.scale for name in REACH
    }
    wanted = dataclasses.replace(part, scaling=dataclasses.replace(scaling, **reach))
    assert_equal_layouts(layout, wanted, rtol=1e-12)
    assert np.array_equal(encode(layout, X, rows=rows)[0], encode(layout, X)[0][rows])


@pytest.mark.parametrize("n_elements", [3, 9, 3 * 49, 3 * 51])
def test_chunks_change_nothing(n_elements, monkeypatch):
    table = with_gaps(X)
    layout = fit(table)
    wanted = encode(layout, table)
    monkeypatch.setattr(_layout, "_CHUNK_ELEMENTS", n_elements)
    assert_equal_layouts(fit(table), layout, rtol=1e-12)
    for found, want in zip(encode(layout, table), wanted, strict=True):
        assert np.array_equal(found, want)


def test_gaps_seen_in_a_late_chunk_only(monkeypatch):
    monkeypatch.setattr(_layout, "_CHUNK_ELEMENTS", 30)
    table = X.copy()
    table[45, 1] = np.nan
    _, observed = encode(fit(X), table)
    assert np.array_equal(observed, ~np.isnan(table))


# -- decoding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e9])
@pytest.mark.parametrize("standardize", [True, False])
def test_decoding_undoes_encoding(offset, standardize):
    table = X + offset
    layout = fit(table, standardize=standardize)
    np.testing.assert_allclose(layout.decode(encode(layout, table)[0]), table, rtol=1e-15 * 8, atol=1e-14)


def test_decoding_gives_decimals_back():
    """Where grids tell of them: 0.1 + 0.2 is no price."""
    table = np.round(np.random.RandomState(0).lognormal(size=(400, 2)), 2)
    layout = fit(table)
    x, _ = encode(layout, table)
    assert np.array_equal(layout.decode(x), table)
    assert np.array_equal(layout.select(np.array([1])).decode(x[:, 1:]), table[:, 1:])
    plain = Layout.fit(table, rows=None, standardize=True, has_grid=False)
    assert plain.grids == (None, None)
    assert not np.array_equal(plain.decode(x), table)


def test_decoding_leaves_its_argument_alone():
    layout = fit(np.column_stack([X, np.ones(50)]))
    values = np.ones((2, 4))
    layout.decode(values)
    assert np.array_equal(values, np.ones((2, 4)))


def test_the_jacobian_turns_encoded_densities_into_densities():
    layout = fit(X)
    x, _ = encode(layout, X)
    wanted = norm(X.mean(0), X.std(0)).logpdf(X)
    np.testing.assert_allclose(norm.logpdf(x) + layout.log_jacobian, wanted, rtol=1e-10)


FRAMES = {"pandas": pd.DataFrame(X, columns=list("abc"), index=range(50, 100)), "polars": pl.DataFrame(X, list("abc"))}


@pytest.mark.parametrize("name", FRAMES)
def test_wrap_returns_the_container_that_was_fitted(name):
    frame = FRAMES[name]
    layout = fit(X, source=frame)
    for like in (frame, X, None):
        wrapped = layout.wrap(X, like=like)
        assert type(wrapped) is type(frame)
        assert list(wrapped.columns) == list("abc")
        assert np.array_equal(np.asarray(wrapped), X)
    if name == "pandas":
        assert layout.wrap(X, like=frame).index.equals(frame.index)
    assert fit(X).wrap(X, like=frame) is X  # an array was fitted


@pytest.mark.parametrize("source", [X, *FRAMES.values()], ids=["array", *FRAMES])
def test_a_layout_is_frozen_and_travels(source):
    layout = fit(X, source=source)
    with pytest.raises(FrozenInstanceError):
        layout.mean = 0.0
    twin = pickle.loads(pickle.dumps(layout))
    assert_equal_layouts(twin, layout)
    assert type(twin.wrap(X)) is type(layout.wrap(X)) is type(source)


# -- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_checking_a_float_table_makes_no_copy(dtype, order):
    table = np.asarray(X, dtype=dtype, order=order)
    assert np.shares_memory(check_table(BaseEstimator(), table, reset=True), table)


@pytest.mark.parametrize("table", [X, X.tolist(), *FRAMES.values()], ids=["array", "list", *FRAMES])
def test_rows_come_in_the_order_asked_for(table):
    for rows in (np.arange(50)[::-1], np.repeat(np.arange(25), 2), np.arange(0, 50, 3)):
        assert np.array_equal(np.asarray(rows_of(table, rows, 50)), X[rows])
    assert rows_of(table, np.arange(50), 50) is table


# The one copy that training needs is in float32. What comes on top are chunks of a million elements, in float64.
MEMORY = """
import sys, threading, time
import numpy as np
from sklae import AutoencoderTransformer

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

def peak_of(action):
    base, peak, running = resident(), [0], True
    def watch():
        while running:
            peak.append(resident())
            time.sleep(0.001)
    watcher = threading.Thread(target=watch)
    watcher.start()
    action()
    running = False
    watcher.join()
    return max(peak) - base

table = np.load(sys.argv[1], mmap_mode="r")
model = AutoencoderTransformer(hidden_layer_sizes=(8,), batch_size=8192, max_iter=1, n_iter_no_change=float("inf"))
model.fit(table[:20000])  # what is allocated once and for all
for model.early_stopping in (False, True):
    print(peak_of(lambda: model.fit(table)) / (4 * table.size))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_read_only_memmap_is_copied_once(tmp_path):
    """The peak is about that of the float32 copy, 48 MB: a second one, or one in float64, would show."""
    table = np.lib.format.open_memmap(tmp_path / "big.npy", mode="w+", dtype=np.float64, shape=(300_000, 40))
    rng = np.random.default_rng(0)
    for start in range(0, len(table), 100_000):
        rng.standard_normal(out=table[start : start + 100_000])
    table.flush()
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "big.npy")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "big.npy").unlink()
    assert result.returncode == 0, result.stderr
    peaks = [float(line) for line in result.stdout.split()]
    assert min(peaks) > 0.9
    assert max(peaks) < 1.9
