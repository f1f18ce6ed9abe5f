"""What compression is made of: symbols, bins, distributions, contexts, predictions, numbers as integers."""

import numpy as np
import pytest

pytest.importorskip("constriction")

from sklae.compression._bins import Bins
from sklae.compression._coder import IntReader, IntWriter, Reader, Tables, Writer
from sklae.compression._histograms import Histograms, fit_histograms
from sklae.compression._known import Feature, Known, Range, Series
from sklae.compression._numbers import FORMS, fit_form
from sklae.compression._prediction import Prediction, fit_prediction
from sklae.compression._trees import ContextTree, grow

FAR = 2**61 - 1


def _series(values):
    return Series(np.asarray(values), np.full(len(values), Series.PRESENT, dtype=np.uint8))


def test_symbols_come_back_and_take_what_they_should():
    rng = np.random.RandomState(0)
    tables = Tables(rng.randint(1, 100, size=(5, 9)))
    contexts, symbols = rng.randint(5, size=4000), rng.randint(9, size=4000)
    sizes = rng.choice([1, 2, 7, 300, 65_536, 2**40, 10**12], 4000)
    values = (rng.uniform(size=4000) * sizes).astype(np.int64)
    to = Writer()
    to.symbols(symbols, contexts, tables)
    to.uniform(values, sizes)
    source = Reader(to.content())
    np.testing.assert_array_equal(source.symbols(contexts, tables), symbols)
    np.testing.assert_array_equal(source.uniform(sizes), values)
    counts = np.zeros((5, 9), dtype=int)
    np.add.at(counts, (contexts, symbols), 1)
    assert 8 * len(to.content()) == pytest.approx(tables.bits(counts) + np.log2(sizes).sum(), rel=4e-3)


def test_integers_of_a_model_come_back():
    values = np.array([0, -1, 1, 11, 12, -12, 13, 2**16, -(2**31), 2**61, -(2**61)])
    to = IntWriter()
    to.counted("some", values)
    to.ints("others", values[:0])
    source = IntReader(to.content())
    np.testing.assert_array_equal(source.counted("some"), values)
    assert len(source.ints("others", 0)) == 0


@pytest.mark.parametrize("values", [[5], [-3, 9], np.arange(2000) ** 2, [-FAR // 2, FAR // 2], np.arange(600) % 7])
def test_every_integer_in_reach_has_a_bin(values):
    values = np.asarray(values, dtype=np.int64)
    low, high = int(values.min()) - 10, int(values.max()) + 10
    bins = Bins.fit(values, 20, low, high)
    asked = np.concatenate([values, [low, high]])
    found = bins.find(asked)
    assert (bins.edges[found] <= asked).all()
    assert (asked < bins.edges[found + 1]).all()
    to = IntWriter()
    bins.write(to)
    np.testing.assert_array_equal(Bins.read(IntReader(to.content())).edges, bins.edges)


def test_contexts_tell_symbols_apart_and_pay_for_themselves():
    rng = np.random.RandomState(0)
    asked, noise = rng.randint(100, size=4000), rng.randint(5, size=4000)
    symbols = np.where(asked < 30, rng.randint(10, size=4000), 3)
    tree, counts, bits = grow([asked, noise], symbols, 10, rng)
    assert set(tree.used) == {0}
    assert tree.n_leaves == 2
    assert bits == pytest.approx(np.log2(10) * (asked < 30).sum(), rel=0.1)
    histograms = fit_histograms(counts)
    to = IntWriter()
    tree.write(to)
    histograms.write(to)
    assert 8 * len(to.content()) < 600
    source = IntReader(to.content())
    again = ContextTree.read(source)
    np.testing.assert_array_equal(again.apply([asked, noise], 4000), tree.apply([asked, noise], 4000))
    np.testing.assert_array_equal(Histograms.read(source, 2, 10).levels, histograms.levels)


def test_no_context_where_nothing_tells():
    rng = np.random.RandomState(0)
    tree, counts, _ = grow([rng.randint(9, size=2000)], rng.randint(9, size=2000), 9, rng)
    assert tree.n_leaves == 1
    assert counts.sum() == 2000


def test_predictions_are_integers_and_come_back():
    rng = np.random.RandomState(0)
    one, two = rng.randint(-500, 500, size=(2, 1000))
    series = _series((3 * one - two) // 2 + 40)
    of_range = Range(-3000, 3000, 40, True)
    known = Known(1000)
    known.add(0, _series(one), 0, -500)
    known.add(1, _series(two), 0, -500)
    features = [Feature(0, False), Feature(1, False)]
    found = fit_prediction(series, known, features, np.arange(1000), from_last=False, typical=40)
    predicted = found.of(known, of_range)
    assert np.abs(series.values - predicted).max() <= 1
    left = found.subtract(series, predicted, of_range)
    np.testing.assert_array_equal(found.add(left, series.status, predicted, of_range).values, series.values)
    to = IntWriter()
    found.write(to)
    assert vars(Prediction.read(IntReader(to.content()))) == vars(found)


def test_differences_skip_what_is_missing():
    status = np.array([3, 0, 3, 2, 3], dtype=np.uint8)
    series = Series(np.array([50, 0, 52, 0, 51]), status)
    of_range, prediction = Range(0, 100, 48, True), Prediction(from_last=True)
    known = Known(5)
    predicted = prediction.of(known, of_range)
    left = prediction.subtract(series, predicted, of_range)[series.is_present]
    assert left.tolist() == [2, 2, -1]
    np.testing.assert_array_equal(prediction.add(left, status, predicted, of_range).values, series.values)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (np.array([1.25, 3.5, -7.75]), "lattice"),
        (np.arange(0, 1000, 10), "lattice"),
        (np.array([0.1, 0.2, 0.3], dtype=np.float32), "lattice"),
        (np.random.RandomState(0).normal(size=50), "bits"),
        (np.random.RandomState(0).choice([0.1234567890123, 2.0, 1e9 + 0.1], 400), "values"),
        (np.array([1e-300, 1e300, -1e300, 0.0]), "bits"),
    ],
)
def test_numbers_come_back_by_the_form_that_fits(values, name):
    form = fit_form(values, 0.0, is_exact=False)
    assert form.name == name or name == "values"
    plain = form.plain()
    again = FORMS[plain.pop("form")](**plain)
    np.testing.assert_array_equal(again.from_ints(again.to_ints(values)).astype(values.dtype), values)


@pytest.mark.parametrize("bound", [0.02, 0.3, 5.0])
def test_grids_are_as_coarse_as_the_bound_allows(bound):
    values = np.random.RandomState(0).uniform(0, 10, size=2000)
    for each in (values, np.round(values, 2)):
        form = fit_form(each, bound, is_exact=False)
        ints = form.to_ints(each)
        assert (np.abs(form.from_ints(ints) - each) <= bound).mean() > 0.999  # a rounding error away at most
        assert len(np.unique(ints)) <= 10 / (2 * bound) + 2


def test_integers_stay_integers():
    values = np.arange(100)
    form = fit_form(values, 1.9, is_exact=False)
    back = form.from_ints(form.to_ints(values))
    assert back.dtype.kind == "i"
    assert np.abs(back - values).max() == 1
    assert fit_form(values, 0.9, is_exact=False).width == 1
    # the last cell reaches beyond what the dtype holds
    assert fit_form(np.arange(256, dtype=np.uint8), 25.5, is_exact=False).width == 51
