"""Tables come back as promised, and take what they should."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.utils.estimator_checks import check_estimator

import sklae
from sklae.compression import Compressor, rate_distortion_curve

pytest.importorskip("constriction")
pd = pytest.importorskip("pandas")

RNG = np.random.RandomState(0)


def _frame(n_rows=300, seed=0):
    """Return a table of all kinds of columns, some of which go together."""
    rng = np.random.RandomState(seed)
    number = rng.normal(size=n_rows)
    frame = pd.DataFrame(
        {
            "number": number,
            "decimals": np.round(3 * number + rng.normal(size=n_rows) / 9, 2),
            "integer": rng.randint(0, 2000, size=n_rows),
            "kind": np.where(number > 0, "up", "down"),
            "level": pd.Categorical(rng.choice(["a", "b"], n_rows), categories=["b", "c", "a"]),
            "flag": number > 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(n_rows), unit="D"),
            "name": [f"row {rng.randint(10**6)}" for _ in range(n_rows)],
            "gappy": np.where(rng.uniform(size=n_rows) < 0.2, np.nan, number * 7),
        }
    )
    frame["nullable"] = frame["integer"].astype("Int16").mask(number > 1)
    return frame


@pytest.fixture(scope="module")
def fitted():
    frame = _frame()
    compressor = Compressor(random_state=0).fit(frame)
    return compressor, frame, compressor.compress(frame)


def test_everything_comes_back(fitted):
    _, frame, data = fitted
    pd.testing.assert_frame_equal(Compressor().decompress(data), frame, check_exact=True)


def test_the_same_rows_are_the_same_bytes(fitted):
    compressor, frame, data = fitted
    assert compressor.compress(Compressor().decompress(data)) == data
    assert clone(compressor).fit(frame).compress(frame) == data


def test_new_rows_come_back_too(fitted):
    compressor, *_ = fitted
    other = _frame(300, seed=1)
    other.loc[3, ["number", "integer", "kind"]] = [np.inf, -(2**62), "sideways"]
    pd.testing.assert_frame_equal(compressor.decompress(compressor.compress(other)), other, check_exact=True)


def test_copies_read_what_has_no_model(fitted):
    compressor, frame, _ = fitted
    alone = compressor.compress(frame, include_model=False)
    file = io.BytesIO()
    sklae.save(compressor, file)
    file.seek(0)
    for copied in (pickle.loads(pickle.dumps(compressor)), sklae.load(file)):
        pd.testing.assert_frame_equal(copied.decompress(alone), frame, check_exact=True)
        assert copied.compress(frame, include_model=False) == alone
    with pytest.raises(ValueError, match=r"without its model, .* not fitted"):
        Compressor().decompress(alone)
    with pytest.raises(ValueError, match="without its model"):
        Compressor(max_error=1.0).fit(frame).decompress(alone)


def test_the_size_of_the_model_is_told(fitted):
    compressor, frame, data = fitted
    alone = compressor.compress(frame, include_model=False)
    assert abs(len(data) - len(alone) - compressor.model_bytes_) < 8


def test_rows_are_read_alone():
    frame = _frame(1000)
    compressor = Compressor(chunk_rows=128, random_state=0).fit(frame)
    data = compressor.compress(frame)
    part = compressor.decompress(data, rows=slice(300, 500))
    pd.testing.assert_frame_equal(part, frame[300:500].reset_index(drop=True), check_exact=True)
    assert len(compressor.decompress(data, rows=slice(5, 5))) == 0
    # what is not read may be damaged
    broken = bytearray(data)
    broken[-20] ^= 1
    pd.testing.assert_frame_equal(compressor.decompress(bytes(broken), rows=slice(300, 500)), part)
    with pytest.raises(ValueError, match="chunk 7"):
        compressor.decompress(bytes(broken), rows=slice(950, 1000))
    with pytest.raises(ValueError, match="slice without a step"):
        compressor.decompress(data, rows=slice(0, 10, 2))


def test_bits_are_those_of_the_score(fitted):
    compressor, frame, _ = fitted
    bits = -compressor.score(frame) * len(frame)
    apart = frame["name"].str.len().sum() * 8  # which is packed, but counted whole
    assert bits > apart
    frame = frame.drop(columns="name")
    compressor = Compressor(random_state=0).fit(frame)
    alone = 8 * len(compressor.compress(frame, include_model=False))
    constant = 8 * 260
    assert abs(alone + compressor.score(frame) * len(frame)) < 0.01 * alone + constant


def test_score_prefers_the_better_model():
    X = load_wine().data
    alike, other = X[::2], RNG.permutation(X.ravel()).reshape(X.shape)
    assert Compressor(random_state=0).fit(alike).score(X[1::2]) > Compressor(random_state=0).fit(other).score(X[1::2])


# -- bounds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_error", [0.25, "2%", {"number": 0.1, "integer": "5%"}])
def test_errors_stay_within_their_bounds(max_error):
    frame = _frame()
    compressor = Compressor(max_error=max_error, random_state=0).fit(frame)
    back = compressor.decompress(compressor.compress(frame))
    assert (back.dtypes == frame.dtypes).all()
    for place, name in enumerate(frame):
        bound = compressor.max_error_[place]
        if bound > 0:
            both = frame[name].astype(float) - back[name].astype(float)
            assert both.abs().max() <= bound
            assert (back[name].isna() == frame[name].isna()).all()
        else:
            pd.testing.assert_series_equal(back[name], frame[name], check_exact=True)
    assert len(compressor.compress(frame)) < len(Compressor(random_state=0).fit(frame).compress(frame))


@pytest.mark.parametrize(
    ("max_error", "says"),
    [
        (-1.0, "at or above 0"),
        (float("nan"), "at or above 0"),
        (True, "at or above 0"),
        ("many", "at or above 0"),
        ("x%", "at or above 0"),
        ({"nowhere": 1.0}, "no column"),
        ({"kind": 1.0}, "holds no numbers"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(max_error, says):
    with pytest.raises(ValueError, match=says):
        Compressor(max_error=max_error).fit(_frame(20))


NUMBERS = st.one_of(
    st.floats(width=64),
    st.floats(-1e3, 1e3).map(lambda each: round(each, 2)),
    st.integers(-5, 5).map(float),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(NUMBERS, NUMBERS, st.integers(-(2**63), 2**63 - 1), st.sampled_from("abc") | st.text()), min_size=1
    ),
    st.sampled_from([0.0, 1e-3, 0.5, 7.0, "1%", "30%"]),
)
def test_any_table_comes_back_within_any_bound(rows, max_error):
    frame = pd.DataFrame(rows, columns=["x", "y", "i", "t"]).astype({"x": float, "y": np.float32, "i": np.int64})
    compressor = Compressor(max_error=max_error, random_state=0).fit(frame)
    data = compressor.compress(frame)
    back = Compressor().decompress(data)
    assert (back.dtypes == frame.dtypes).all()
    assert back["t"].tolist() == frame["t"].tolist()
    for name, bound in zip("xyi", compressor.max_error_, strict=False):
        one, other = frame[name].to_numpy(), back[name].to_numpy()
        if one.dtype.kind == "i":
            assert all(abs(int(a) - int(b)) <= bound for a, b in zip(one, other, strict=True))
            continue
        is_number = np.isfinite(one)
        assert (one[~is_number].tobytes() == other[~is_number].tobytes()) or np.isnan(one[~is_number]).any()
        np.testing.assert_array_equal(one[~is_number], other[~is_number])
        if bound == 0:
            assert one[is_number].tobytes() == other[is_number].tobytes()
        assert (np.abs(one[is_number].astype(float) - other[is_number].astype(float)) <= bound).all()
    assert compressor.compress(frame) == data


# -- damage -----------------------------------------------------------------------------------------------


def test_flipped_bits_are_always_refused(fitted):
    compressor, _, data = fitted
    for bit in np.random.RandomState(0).choice(8 * len(data), 1000, replace=False).tolist():
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"damaged|no table"):
            compressor.decompress(bytes(broken))


@pytest.mark.parametrize("n_bytes", [0, 1, 12, 40, 400, -1])
def test_what_is_cut_short_is_refused(fitted, n_bytes):
    compressor, _, data = fitted
    for rows in (None, slice(0, 3)):
        if n_bytes == -1 and rows is not None:
            continue  # the checksum of all of it is the last that is there
        with pytest.raises(ValueError, match=r"damaged|no table"):
            compressor.decompress(data[:n_bytes], rows=rows)


@pytest.mark.parametrize("data", [b"", b"PAR1" * 100, "text", None])
def test_what_is_no_compressed_table_is_refused(data):
    with pytest.raises((ValueError, TypeError), match="expected"):
        Compressor().decompress(data)


def test_other_tables_are_refused(fitted):
    compressor, frame, _ = fitted
    with pytest.raises(ValueError, match=r"column 'integer' of kind float"):
        compressor.compress(frame.astype({"integer": float}))
    with pytest.raises(ValueError, match="10 features"):
        compressor.compress(frame.drop(columns="flag"))
    with pytest.raises(ValueError, match="0 sample"):
        Compressor().fit(frame[:0])


def test_a_failed_fit_leaves_the_estimator_as_it_was(fitted):
    compressor, frame, data = fitted
    copied = pickle.loads(pickle.dumps(compressor)).set_params(max_error=-1.0)
    with pytest.raises(ValueError, match="max_error"):
        copied.fit(frame)
    assert copied.compress(frame) == data


def test_no_rows_are_a_table_too(fitted):
    compressor, frame, _ = fitted
    back = compressor.decompress(compressor.compress(frame[:0]))
    assert back.shape == (0, 10)
    assert (back.dtypes == frame.dtypes).all()


# -- oracles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_levels", [2, 100, 1000, 100_000])
def test_a_uniform_column_takes_log2_of_its_levels(n_levels):
    X = np.random.RandomState(0).randint(n_levels, size=(60_000, 1))
    compressor = Compressor(random_state=0).fit(X)
    assert -compressor.score(X) == pytest.approx(np.log2(n_levels), rel=0.01, abs=0.002)
    bits = 8 * len(compressor.compress(X, include_model=False))
    assert bits == pytest.approx(-compressor.score(X) * len(X), rel=0.01, abs=8 * 300)


def test_a_column_that_follows_from_others_is_free():
    X = np.random.RandomState(0).randint(8, size=(4000, 2))
    both = np.column_stack([X, X[:, 0] // 2])
    alone, follows = (-Compressor(random_state=0).fit(each).score(each) for each in (X, both))
    assert follows - alone < 0.02


def test_gaussian_columns_take_what_they_must():
    """At a small largest error e, cells of width 2e take the differential entropy less log2(2e)."""
    rng = np.random.RandomState(0)
    mixing = rng.normal(size=(3, 3))
    X = rng.normal(size=(30_000, 3)) @ mixing
    covariance = mixing.T @ mixing
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] / np.log(2)
    for error in (0.002, 0.01, 0.05):
        compressor = Compressor(max_error=error, random_state=0).fit(X[:20_000])
        assert -compressor.score(X[20_000:]) == pytest.approx(entropy - 3 * np.log2(2 * error), rel=0.02)


# -- autoencoders and images ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:240].astype(np.uint8)


def _autoencoder():
    return sklae.AutoencoderTransformer(4, hidden_layer_sizes=(16,), max_iter=5, early_stopping=False, random_state=0)


@pytest.mark.parametrize("max_error", [0.0, 3.0, float("inf")])
def test_codes_of_an_autoencoder(digits, max_error):
    compressor = Compressor(_autoencoder(), max_error=max_error, image_shape=(8, 8), random_state=0).fit(digits)
    data = compressor.compress(digits)
    back = Compressor().decompress(data)
    assert np.abs(back.astype(int) - digits).max() <= max_error
    assert back.dtype == digits.dtype
    codes = compressor.transform(digits)
    assert codes.shape == (240, 4)
    assert codes.dtype == np.int64
    if max_error > 0:
        assert compressor.uses_autoencoder_
        # better than the mean image, by the codes alone
        assert ((back - digits.astype(float)) ** 2).mean() < digits.var(axis=0).mean()
    copied = pickle.loads(pickle.dumps(compressor))
    assert copied.compress(digits) == data
    np.testing.assert_array_equal(copied.transform(digits), codes)


def test_tables_of_all_kinds_of_columns_have_codes():
    frame = _frame(300)
    frame["empty"], frame["constant"] = np.nan, 7
    compressor = Compressor(_autoencoder(), max_error="5%", random_state=0).fit(frame)
    back = compressor.decompress(compressor.compress(frame))
    assert back["name"].equals(frame["name"])
    assert back["empty"].isna().all()
    assert (back["constant"] == 7).all()
    assert (back["gappy"].isna() == frame["gappy"].isna()).all()
    assert back["kind"].equals(frame["kind"])
    both = (frame["gappy"] - back["gappy"]).abs().max()
    assert both <= 0.05 * (frame["gappy"].max() - frame["gappy"].min())


def test_there_are_no_codes_without_an_autoencoder(fitted):
    with pytest.raises(AttributeError, match="no codes"):
        fitted[0].transform(fitted[1])


def test_pixels_share_one_model(digits):
    shared, apart = (Compressor(image_shape=shape, random_state=0).fit(digits) for shape in ((8, 8), None))
    assert shared.model_bytes_ < apart.model_bytes_
    assert len(shared.compress(digits)) < len(apart.compress(digits))
    np.testing.assert_array_equal(shared.decompress(shared.compress(digits)), digits)


@pytest.mark.parametrize("shape", [(2, 4, 5), (4, 5, 2)])
def test_images_have_channels(shape):
    X = np.random.RandomState(0).randint(9, size=(50, 40))
    compressor = Compressor(image_shape=shape, random_state=0).fit(X)
    np.testing.assert_array_equal(compressor.decompress(compressor.compress(X)), X)


def test_more_error_is_fewer_bits(digits):
    curve = rate_distortion_curve(
        Compressor(image_shape=(8, 8), random_state=0), digits[:160], [0.0, 1.0, 4.0], X_test=digits[160:]
    )
    assert (np.diff(curve.bits_per_row) < 0).all()
    assert curve.mean_squared_error[0] == 0.0
    assert (np.diff(curve.mean_squared_error) > 0).all()
    assert (curve.model_bits > 0).all()


def test_without_constriction_the_extra_is_named(monkeypatch, fitted):
    import sys

    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r"sklae\[compress\]"):
        Compressor().fit(fitted[1])
    with pytest.raises(ImportError, match=r"sklae\[compress\]"):
        Compressor().decompress(fitted[2])


def test_it_is_an_estimator():
    check_estimator(Compressor(random_state=0))


def test_global_generators_are_left_alone(untouched_globals):
    X = load_wine().data
    compressor = Compressor(_autoencoder(), random_state=None).fit(X)
    compressor.compress(X)


def test_what_is_asked_for_by_mistake_is_told_in_words():
    table = pd.DataFrame({"c": pd.Categorical(["a", "b", "a"]), "d": [1, 2, 3]})
    compressor = Compressor(random_state=0).fit(table)
    data = compressor.compress(table)
    for rows in (5, [1, 2], "x", np.array([True, False, True])):
        with pytest.raises(TypeError, match="expected a slice, such as"):
            compressor.decompress(data, rows=rows)
    with pytest.raises(ValueError, match="Got column 'c' with other levels"):
        compressor.compress(table.assign(c=pd.Categorical(["a", "z", "a"])))
    with pytest.raises(ValueError, match="expected columns in the order of fit"):
        compressor.compress(table[["d", "c"]])
    with pytest.raises(ValueError, match=r"Got max_error=1e\+308"):
        Compressor(max_error=1e308).fit(table)
    with pytest.raises(ValueError, match="Got column 'c' of a dtype that can't be made again"):
        Compressor().fit(table.assign(c=pd.Categorical(pd.to_datetime(["2020-01-01", "2021-01-01", "2020-01-01"]))))
