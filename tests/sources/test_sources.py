"""Rows that are not all in memory: what is learned from them is what is learned from a table of them."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from support import QUICK

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._tables.sources import Picked, regrouped
from sklae.exceptions import DivergenceError
from sklae.likelihoods import Mixed
from sklae.sources import ChunkedRows, CSVRows, LazyRows, ParquetRows, RowSource, to_parquet

TRANSFORMERS = [AutoencoderTransformer, VAETransformer]


def vae(**params):
    return VAETransformer(2, **{**QUICK, **params})


@pytest.fixture
def streamed(monkeypatch):
    """Keep no rows in memory, however few they are."""
    monkeypatch.setattr("sklae._training.batches._MOST_KEPT", 0)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    rng = np.random.RandomState(0)
    numbers = rng.normal(size=(241, 3)) * [1.0, 5.0, 0.1] + [0.0, 3.0, 9.0]
    numbers[rng.uniform(size=numbers.shape) < 0.1] = np.nan
    frame = pd.DataFrame(numbers, columns=list("abc"))
    frame["site"] = rng.choice(["north", "south", "west"], size=241)
    frame["visits"] = rng.poisson(3.0, size=241)
    frame["group"] = rng.choice(["x", "y"], size=241)
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame.to_parquet(path, row_group_size=30)
    return frame, path


@pytest.mark.parametrize("cls", TRANSFORMERS)
@pytest.mark.parametrize(
    "params",
    [
        {"shuffle": False},
        {"early_stopping": True},
        {"condition_features": ["group"]},
        {"sample_from": "aggregate", "corruption": "masking"},
        {"learning_rate": "one_cycle", "batch_size": 7},
    ],
    ids=str,
)
def test_history_and_weights_are_those_of_a_table(cls, params, mixed, streamed):
    frame, path = mixed
    rows = ParquetRows(path, chunk_size=17)
    of_table, of_rows = (cls(2, **{**QUICK, "batch_size": 40, **params}).fit(X) for X in (frame, rows))
    for epoch, other in zip(of_table.net_.history, of_rows.net_.history, strict=True):
        assert {k: v for k, v in epoch.items() if k != "dur"} == {k: v for k, v in other.items() if k != "dur"}
    assert np.array_equal(of_table.transform(frame), of_rows.transform(frame))
    assert np.array_equal(of_table.layout_.mean, of_rows.layout_.mean)
    if cls is VAETransformer or "sample_from" in params:
        condition = {"group": "x"} if "condition_features" in params else None
        drawn = [model.sample(5, random_state=0, condition=condition) for model in (of_table, of_rows)]
        pd.testing.assert_frame_equal(*drawn)


def test_many_rows_are_shuffled_from_everywhere(mixed, streamed, monkeypatch):
    """Not only within a chunk, another order in each epoch, and each row once."""
    monkeypatch.setattr("sklae._training.batches._TOGETHER_ELEMENTS", 400)
    frame, path = mixed
    seen = []

    class Watch:
        def on_batch_begin(self, net, batch, training, **kwargs):
            if training:
                seen.append(batch.target.x[:, 0].numpy().copy())

    from skorch.callbacks import Callback

    watch = type("Watched", (Watch, Callback), {})()
    frame = frame.assign(a=np.arange(241.0))
    frame.to_parquet(path.with_name("ordered.parquet"), row_group_size=30)
    model = vae(batch_size=20, callbacks=[("watch", watch)])
    model.fit(ParquetRows(path.with_name("ordered.parquet"), chunk_size=10))
    epochs = np.concatenate(seen).reshape(2, 241)
    ranks = np.argsort(np.argsort(epochs, axis=1), axis=1)
    assert np.array_equal(np.sort(ranks, axis=1), np.tile(np.arange(241), (2, 1)))
    assert not np.array_equal(ranks[0], ranks[1])
    assert np.ptp(ranks[0][:20]) > 60  # from more than two of the groups of 30
    assert abs(np.corrcoef(ranks[0], np.arange(241))[0, 1]) < 0.5
    again = vae(batch_size=20).fit(ParquetRows(path.with_name("ordered.parquet"), chunk_size=10))
    assert np.array_equal(again.transform(frame), model.transform(frame))


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_verbs_say_of_rows_from_disk_what_they_say_of_a_table(cls, mixed):
    frame, path = mixed
    rows, model = ParquetRows(path, chunk_size=50), cls(2, **QUICK).fit(frame)
    np.testing.assert_allclose(model.transform(rows), model.transform(frame), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.score_samples(rows), model.score_samples(frame), rtol=1e-12)
    assert model.score(rows) == pytest.approx(model.score(frame), rel=1e-12)
    pd.testing.assert_frame_equal(model.reconstruct(rows), model.reconstruct(frame))
    model.set_output(transform="pandas")
    pd.testing.assert_frame_equal(model.transform(rows), model.transform(frame))
    with pytest.raises(TypeError, match=r"Got ParquetRows, a source of rows; expected a table in memory\. Of sources"):
        model.interpolate(rows, rows)


def test_a_stream_goes_on_with_rows_from_disk(mixed, streamed):
    frame, path = mixed
    rows = ParquetRows(path, chunk_size=50)
    models = [vae(shuffle=False).partial_fit(X).partial_fit(X) for X in (frame, rows)]
    assert models[0].net_.history[:, "train_loss"] == models[1].net_.history[:, "train_loss"]
    warm = [vae(shuffle=False, warm_start=True).fit(X).fit(X) for X in (frame, rows)]
    assert warm[0].loss_curve_ == warm[1].loss_curve_
    other = frame.assign(site="east")
    with pytest.warns(UserWarning, match="column 'site' that fit has not seen") as told:
        models[1].partial_fit(ChunkedRows(lambda: [other[:100], other[100:]]))
    assert len(told) == 1


def test_rows_to_validate_on_may_come_from_disk(mixed):
    frame, _ = mixed
    models = [vae(early_stopping=True).fit(frame, X_val=X) for X in (frame[:50], ChunkedRows(lambda: [frame[:50]]))]
    assert models[0].validation_scores_ == models[1].validation_scores_


def test_a_search_over_rows_from_disk(mixed):
    frame, path = mixed
    scores = []
    for params in ParameterGrid({"beta": [0.5, 1.0], "prior": ["normal", "vamp"]}):
        model = vae(early_stopping=True, sample_from="aggregate", **params)
        scores.append(model.fit(ParquetRows(path), X_val=frame[:50]).score(frame[50:]))
        assert len(model.sample(3, random_state=0)) == 3
    assert np.isfinite(scores).all()


class Chunks(RowSource):
    """Tables that are given one after the other."""

    def __init__(self, *tables, n_rows=None):
        self.tables, self.n_rows = tables, n_rows

    def __len__(self):
        return sum(map(len, self.tables)) if self.n_rows is None else self.n_rows

    def chunks(self):
        return iter(self.tables)


def test_chunks_may_be_odd(mixed):
    """Of one row, of none, without a value in a column, with integers that turn out to be numbers, with late levels."""
    frame = mixed[0].head(60)
    whole = vae().fit(frame)
    halves = frame[:30], frame[30:]
    for chunks in (
        [frame[i : i + 1] for i in range(len(frame))],
        [frame[:0], *halves, frame[:0]],
        [halves[0].assign(site=None, visits=None), *halves],
        [*halves, halves[1].assign(site=None, visits=None)],
        [halves[0].astype({"site": "category"}), halves[1]],
    ):
        model = vae().fit(Chunks(*chunks))
        assert model.layout_.columns.kinds == whole.layout_.columns.kinds
        assert model.layout_.columns.categories.levels == whole.layout_.columns.categories.levels
    model = vae().fit(Chunks(halves[0], halves[1].assign(visits=lambda part: part.visits + 0.5, site="east")))
    assert model.layout_.columns.kinds[4] == "numeric"
    assert "east" in model.layout_.columns.categories.levels[3]


def test_dtypes_of_chunks_are_joined():
    rng = np.random.RandomState(0)
    narrow = pd.DataFrame(
        {"n": rng.randint(0, 20, 30).astype(np.int8), "s": pd.Categorical(rng.choice(list("xyz"), 30))}
    )
    wide = pd.DataFrame({"n": rng.randint(1_000, 1_020, 30), "s": pd.Categorical(rng.choice(list("uv"), 30))})
    for chunks in ((narrow, wide), (wide, narrow)):
        model = vae(sample_from="aggregate").fit(Chunks(*chunks))
        assert model.layout_.columns.categories.levels[1] == list("uvxyz")
        assert model.reconstruct(wide)["n"].dtype == np.int64
        assert model.sample(200, random_state=0)["s"].notna().all()
    parts = pl.from_pandas(narrow.astype({"s": str})), pl.from_pandas(wide.astype({"n": float}))
    assert len(vae(prior="vamp", sample_from="aggregate").fit(Chunks(*parts)).sample(3, random_state=0)) == 3


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"n": np.array([1, 2], dtype=np.uint8)}, r"'n' \(int8, then uint8\)"),
        ({"o": pd.Categorical(["b", "a"], ["b", "a"], ordered=True)}, r"'o' \(category, then category\)"),
        ({"q": [1, 2]}, r"Got a chunk of rows with columns \['n', 'o', 'q'\]; expected \['n', 'o'\]"),
    ],
    ids=["integers without a common dtype", "contradictory orders", "further columns"],
)
def test_chunks_that_do_not_go_together_are_refused(second, message):
    first = pd.DataFrame({"n": np.array([1, 2], dtype=np.int8), "o": pd.Categorical(["a", "b"], ordered=True)})
    with pytest.raises(ValueError, match=message):
        vae().fit(Chunks(first, first.assign(**second)))


@pytest.mark.parametrize("cls", [AEOutlierDetector, AEImputer])
def test_what_keeps_its_rows_takes_those_that_fit(cls, mixed, monkeypatch):
    frame, path = mixed
    frame, rows = frame[list("abc")], ParquetRows(path, columns=list("abc"), chunk_size=50)
    settings = {"autoencoder": AutoencoderTransformer(2, **QUICK), "random_state": 0}
    verb = "score_samples" if cls is AEOutlierDetector else "transform"
    if cls is AEOutlierDetector:
        settings["validation_fraction"] = 0.3
    of_table, of_rows = (cls(**settings).fit(X) for X in (frame, rows))
    told = np.asarray(getattr(of_table, verb)(frame))
    assert np.array_equal(told, getattr(of_rows, verb)(frame))
    np.testing.assert_allclose(np.asarray(getattr(of_rows, verb)(rows)), told, rtol=1e-10)
    if cls is AEOutlierDetector:
        assert np.array_equal(of_rows.predict(rows), of_table.predict(frame))
        assert np.array_equal(of_rows.predict(rows, fdr=0.2), of_table.predict(frame, fdr=0.2))
        np.testing.assert_allclose(of_rows.p_values(rows), of_table.p_values(frame))
    monkeypatch.setattr("sklae.sources._taken._MOST_ROWS", 100)
    with pytest.warns(UserWarning, match=f"Got a source of 241 rows as X; {cls.__name__} keeps .* takes 100 of them"):
        few = cls(**settings).fit(rows)
    again = cls(**settings)
    with pytest.warns(UserWarning, match="takes 100 of them, at random"):
        again.fit(rows)
    assert np.array_equal(np.asarray(getattr(few, verb)(frame)), np.asarray(getattr(again, verb)(frame)))


@pytest.mark.parametrize("n_rows", [20, 100])
def test_a_source_says_how_many_rows_it_has(mixed, n_rows):
    with pytest.raises(ValueError, match=f"Got 60 rows from the chunks of Chunks and a length of {n_rows}"):
        vae().fit(Chunks(mixed[0].head(60), n_rows=n_rows))


def test_what_a_source_cannot_do_is_refused(mixed):
    frame, path = mixed
    with pytest.raises(ValueError, match="source of rows and X_clean"):
        vae().fit(ParquetRows(path), X_clean=frame)
    with pytest.raises(ValueError, match="non-negative integers"):
        vae(likelihood=Mixed(count_features=["a"])).fit(ParquetRows(path))
    with pytest.raises(ValueError, match=r"neither numbers nor categories: 'visits' \(integer, then categorical\)"):
        vae().fit(Chunks(frame, frame.assign(visits="many")))
    with pytest.raises(ValueError, match="Got 0 rows from the chunks"):
        vae().fit(Chunks(n_rows=5))


# -- the sources ----------------------------------------------------------------------------------------------


def joined(source):
    return pd.concat([pd.DataFrame(chunk) for chunk in source.chunks()], ignore_index=True)


def test_parquet_files(mixed, tmp_path):
    frame, path = mixed
    pd.testing.assert_frame_equal(joined(ParquetRows(path, chunk_size=7)), frame)
    chosen = ParquetRows(str(path), columns=["site", "a"])
    pd.testing.assert_frame_equal(joined(chosen), frame[["site", "a"]])
    frame[:100].to_parquet(tmp_path / "1.parquet")
    frame[100:].to_parquet(tmp_path / "2.parquet", index=False)
    for several in (tmp_path, [tmp_path / "1.parquet", tmp_path / "2.parquet"], pyarrow.dataset.dataset(tmp_path)):
        source = ParquetRows(several)
        assert len(source) == 241
        pd.testing.assert_frame_equal(joined(source), frame)
    parts = tmp_path / "parts"
    pyarrow.dataset.write_dataset(
        pa.Table.from_pandas(frame), parts, format="parquet", partitioning=["group"], partitioning_flavor="hive"
    )
    source = ParquetRows(parts)
    assert sorted(joined(source)["group"].astype(str)) == sorted(frame["group"])
    model = vae(condition_features=["group"]).fit(source)
    assert len(model.transform(source)) == 241


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        ([1, 2], [0.5, 2.0], float),
        ([0.5, 2.0], [1, 2], float),
        (np.array([1, 2], np.int8), [1_000, 2], np.int64),
        (np.array([1, 2], np.float32), [0.1, 2.0], float),
        ([None, None], ["x", "y"], pd.Series(["x"]).dtype),
        (["x", "y"], [None, None], pd.Series(["x"]).dtype),
    ],
)
def test_files_of_a_folder_have_one_type_a_column(first, second, dtype, tmp_path):
    """As they have it in pandas, whichever file comes first."""
    parts = [pd.DataFrame({"a": values}) for values in (first, second)]
    for i, part in enumerate(parts):
        part.to_parquet(tmp_path / f"{i}.parquet")
    read = joined(ParquetRows(tmp_path))
    assert read["a"].dtype == dtype
    assert read["a"].dropna().tolist() == [value for part in parts for value in part["a"].dropna().tolist()]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"a": [True, False]}, {"a": [7, 2]}, r"Got column 'a' with types \['bool', 'int64'\]"),
        ({"a": ["x", "y"]}, {"a": [7, 2]}, "Got column 'a' with types .*expected one"),
        ({"a": [1], "b": [1]}, {"a": [1]}, r"1\.parquet', and .*0\.parquet' with other columns: \['b'\]"),
        ({"a": [1]}, {"a": [1], "b": [1]}, r"with other columns: \['b'\]"),
    ],
)
def test_files_of_a_folder_that_do_not_go_together_are_refused(first, second, message, tmp_path):
    for i, part in enumerate((first, second)):
        pd.DataFrame(part).to_parquet(tmp_path / f"{i}.parquet")
    with pytest.raises(ValueError, match=message):
        ParquetRows(tmp_path)


def test_parquet_rows_in_random_order_keep_their_positions(mixed):
    frame, path = mixed
    source = ParquetRows(path, chunk_size=7)
    orders = [list(source.placed_chunks(np.random.RandomState(seed))) for seed in (0, 0, 1)]
    starts = [[start for start, _ in order] for order in orders]
    assert starts[0] == starts[1] != starts[2]
    assert starts[0] != sorted(starts[0])
    for start, chunk in orders[0]:
        pd.testing.assert_frame_equal(
            chunk.reset_index(drop=True), frame[start : start + len(chunk)].reset_index(drop=True)
        )
    assert sum(len(chunk) for _, chunk in orders[2]) == 241


def test_categories_of_parquet_files_are_those_of_a_frame(tmp_path, streamed):
    rng = np.random.RandomState(0)
    grades = pd.Categorical(rng.choice(list("cab"), 90), ["c", "a", "b", "never"], ordered=True)
    frame = pd.DataFrame(
        {"grade": grades, "kind": pd.Categorical(rng.choice(list("xyz"), 90)), "n": rng.normal(size=90)}
    )
    frame.loc[:29, "kind"] = "x"
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=30)
    rows = ParquetRows(tmp_path / "rows.parquet", chunk_size=20)
    of_table, of_rows = (vae().fit(X) for X in (frame, rows))
    assert of_table.layout_.columns.categories.levels == of_rows.layout_.columns.categories.levels
    assert of_table.loss_curve_ == of_rows.loss_curve_
    assert of_rows.sample(3, random_state=0).dtypes.equals(frame.dtypes)


def test_csv_files_have_one_dtype_a_column(tmp_path):
    path = tmp_path / "rows.csv"
    lines = ["n,zip,x,empty,flag", *(f"{i},{i},,,True" for i in range(40)), "1.5,K1A,7,,False", *["2,3,4,,"] * 3]
    path.write_text("\n".join(lines))
    whole = pd.read_csv(path, dtype={"zip": str})
    source = CSVRows(path, chunk_size=20)
    assert len(source) == 44
    read = joined(source)
    assert read["n"].dtype == read["x"].dtype == float
    assert read["zip"].tolist() == whole["zip"].tolist()
    assert all(
        chunk.dtypes.drop(["flag", "empty"]).equals(read.dtypes.drop(["flag", "empty"])) for chunk in source.chunks()
    )
    assert joined(CSVRows(path, chunk_size=20, usecols=["n", "x"])).columns.tolist() == ["n", "x"]
    assert joined(CSVRows(path, chunk_size=20, dtype={"n": "float32"}))["n"].dtype == np.float32
    assert (joined(CSVRows(path, dtype=str))["n"][:2] == ["0", "1"]).all()


def test_csv_files_are_learned_from_as_their_frame_is(mixed, tmp_path, streamed):
    frame, _ = mixed
    frame.to_csv(tmp_path / "rows.csv", index=False)
    read = pd.read_csv(tmp_path / "rows.csv")
    of_table, of_rows = (vae().fit(X) for X in (read, CSVRows(tmp_path / "rows.csv", chunk_size=50)))
    assert of_table.loss_curve_ == of_rows.loss_curve_


def test_chunks_of_any_kind(mixed, streamed):
    frame, _ = mixed
    table = pa.Table.from_pandas(frame)
    of_table = vae().fit(frame)
    for make in (
        lambda: table.to_batches(max_chunksize=50),
        lambda: iter([table.slice(0, 100), table.slice(100)]),
        lambda: (frame[i : i + 60] for i in range(0, 241, 60)),
    ):
        assert vae().fit(ChunkedRows(make)).loss_curve_ == of_table.loss_curve_
    X = np.random.RandomState(0).normal(size=(90, 3)).astype(np.float32)
    of_array, of_rows = (vae().fit(each) for each in (X, ChunkedRows(lambda: np.split(X, 3), n_rows=90)))
    assert of_array.loss_curve_ == of_rows.loss_curve_
    assert of_rows.transform(ChunkedRows(lambda: np.split(X, 3))).dtype == np.float32


def test_lazy_frames_are_taken_as_they_are(mixed, streamed):
    frame = pl.from_pandas(mixed[0])
    lazy = frame.lazy()
    of_table, of_rows = (vae().fit(X) for X in (frame, lazy))
    assert of_table.loss_curve_ == of_rows.loss_curve_
    np.testing.assert_allclose(of_rows.transform(lazy), of_table.transform(frame), rtol=1e-12, atol=1e-12)
    assert of_rows.reconstruct(LazyRows(lazy, chunk_size=100)).equals(of_rows.reconstruct(frame))
    few = of_rows.score_samples(lazy.filter(pl.col("site") == "north"))
    assert len(few) == int((frame["site"] == "north").sum())
    filled = AEImputer(random_state=0).fit(lazy).transform(lazy)
    assert isinstance(filled, pl.DataFrame)
    assert not filled.null_count().to_numpy().any()


def test_frames_of_dask_are_taken_as_they_are(mixed, streamed):
    dd = pytest.importorskip("dask.dataframe")
    frame, _ = mixed
    lazy = dd.from_pandas(frame, npartitions=5)
    of_table, of_rows = (vae().fit(X) for X in (frame, lazy))
    assert of_table.loss_curve_ == of_rows.loss_curve_
    np.testing.assert_allclose(of_rows.score_samples(lazy), of_table.score_samples(frame), rtol=1e-12)
    source = LazyRows(lazy)
    order = list(source.placed_chunks(np.random.RandomState(0)))
    assert [start for start, _ in order] != sorted(start for start, _ in order)
    for start, chunk in order:
        pd.testing.assert_frame_equal(chunk, frame[start : start + len(chunk)], check_dtype=False)
    assert len(AEOutlierDetector(vae(), cv=2, random_state=0).fit(lazy).predict(lazy)) == 241


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8), n_rows=st.integers(1, 12), seed=st.integers(0, 99))
def test_regrouped_and_picked_rows_are_the_same_rows(sizes, n_rows, seed):
    ends = np.cumsum([0, *sizes])
    whole = np.arange(2.0 * ends[-1]).reshape(-1, 2)
    tables = [whole[start : start + size] for start, size in zip(ends[:-1], sizes, strict=True)]
    parts = list(regrouped(iter(tables), n_rows))
    assert all(len(part) == n_rows for part in parts[:-1])
    assert np.array_equal(np.concatenate([np.empty((0, 2)), *parts]), whole)
    positions = np.flatnonzero(np.random.RandomState(seed).uniform(size=len(whole)) < 0.3)
    picked = Picked(positions)
    for start, table in zip(ends[:-1], tables, strict=True):
        picked.see(int(start), table)
    assert np.array_equal(np.concatenate([np.empty((0, 2)), *picked.parts]), whole[positions])


# -- what is written --------------------------------------------------------------------------------------------


def test_answers_are_written_piece_by_piece(mixed, tmp_path, capsys):
    frame, path = mixed
    rows, out = ParquetRows(path, chunk_size=50), tmp_path / "out.parquet"
    model = vae().fit(frame)
    assert to_parquet(model.transform, rows, out, verbose=1) == 241
    assert "241" in capsys.readouterr().err
    codes = pd.read_parquet(out)
    assert codes.columns.tolist() == model.get_feature_names_out().tolist()
    np.testing.assert_allclose(codes, model.transform(frame), rtol=1e-12, atol=1e-12)
    to_parquet(model.score_samples, rows, out)
    assert pd.read_parquet(out).columns.tolist() == ["score_samples"]
    to_parquet(model.reconstruct, rows, out)
    pd.testing.assert_frame_equal(pd.read_parquet(out), model.reconstruct(frame))
    to_parquet(lambda chunk: np.zeros((len(chunk), 2)), rows, out)
    assert pd.read_parquet(out).shape == (241, 2)
    polars = pl.from_pandas(frame)
    to_parquet(vae().fit(polars).reconstruct, polars.lazy(), out)
    assert pl.read_parquet(out).columns == polars.columns
    numbers = frame[list("abc")]
    pipeline = make_pipeline(AEImputer(random_state=0), vae()).fit(numbers)
    to_parquet(pipeline.transform, ParquetRows(path, columns=list("abc"), chunk_size=50), out)
    np.testing.assert_allclose(pd.read_parquet(out), pipeline.transform(numbers), rtol=1e-9, atol=1e-12)


def test_what_goes_wrong_leaves_the_file_as_it_was(mixed, tmp_path):
    frame, path = mixed
    out = tmp_path / "out.parquet"
    out.write_bytes(b"before")

    def fails(chunk):
        if chunk.index[0] or len(chunk) < 50:
            raise RuntimeError("no")
        return chunk

    rows = ParquetRows(path, chunk_size=50)
    for verb, message in ((fails, "no"), (lambda chunk: chunk[:1], "Got 1 rows from the verb for 30")):
        with pytest.raises((RuntimeError, ValueError), match=message):
            to_parquet(verb, rows, out)
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(FileNotFoundError, match="in a folder that is not there"):
        to_parquet(len, rows, tmp_path / "none" / "out.parquet")
    with pytest.raises(TypeError, match="Got a DataFrame; expected a source of rows"):
        to_parquet(len, frame, out)
    with pytest.raises(ValueError, match="Got ChunkedRows without rows"):
        to_parquet(len, ChunkedRows(lambda: []), out)
    with pytest.raises(ValueError, match="which is a folder; expected a file"):
        to_parquet(fails, rows, tmp_path)
    with pytest.raises(TypeError, match="Got verb='transform'; expected a function"):
        to_parquet("transform", rows, out)
    with pytest.raises(ValueError, match="Got 0 rows from the verb for 30"):
        to_parquet(lambda chunk: 0.5, rows, out)


# -- what is refused --------------------------------------------------------------------------------------------


def test_sources_that_are_none_are_refused(tmp_path, mixed):
    _, path = mixed
    with pytest.raises(FileNotFoundError, match=r"none\.parquet.*which is not there"):
        ParquetRows(tmp_path / "none.parquet")
    with pytest.raises(FileNotFoundError, match="expected a CSV file"):
        CSVRows(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"Got columns with 'q', which is not there; expected names among \['a'"):
        ParquetRows(path, columns=["a", "q"])
    for size in (0, 2.5, True):
        with pytest.raises(ValueError, match=r"Got chunk_size=.*expected an integer of at least 1, or None"):
            ParquetRows(path, chunk_size=size)
    with pytest.raises(TypeError, match="Got a generator; expected a function"):
        ChunkedRows(x for x in ())
    with pytest.raises(TypeError, match="Got a DataFrame; expected a LazyFrame"):
        LazyRows(pd.DataFrame())
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"rows\.csv', which can't be read as Parquet"):
        ParquetRows(tmp_path / "rows.csv")
    with pytest.raises(TypeError, match=r"Got path of type list; .* Of several: ChunkedRows"):
        CSVRows([tmp_path / "rows.csv"])
    for n_rows in (-1, 2.5, True):
        with pytest.raises(ValueError, match=r"Got n_rows=.*; expected an integer of at least 0"):
            ChunkedRows(lambda: [], n_rows=n_rows)
    for wrong in (pd.DataFrame({"a": [1]}), np.zeros((3, 2)), None):
        with pytest.raises(TypeError, match="expected one that returns an iterable of tables"):
            vae().fit(ChunkedRows(lambda wrong=wrong: wrong))
    with pytest.raises(ValueError, match="Got chunksize=; expected chunk_size="):
        CSVRows(tmp_path / "rows.csv", chunksize=3)


def test_a_file_that_was_written_to_since_is_told(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"a": np.arange(10.0), "b": np.arange(10.0) ** 2}).to_parquet(path)
    rows = ParquetRows(path)
    pd.DataFrame({"a": np.arange(4.0), "b": np.arange(4.0) ** 2}).to_parquet(path)
    with pytest.raises((ValueError, OSError)):
        vae().fit(rows)


def test_bad_rows_far_into_a_file_are_refused_before_training(mixed, streamed):
    frame, _ = mixed
    bad = frame.assign(a=np.where(np.arange(241) == 240, np.inf, frame["a"]))
    model = vae().fit(frame)
    before = model.transform(frame)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(ChunkedRows(lambda: [bad[:100], bad[100:]]))
    assert np.array_equal(model.transform(frame), before)


def test_a_failure_in_the_middle_leaves_the_estimator_as_it_was(mixed, streamed):
    frame, _ = mixed
    readings = []

    def make():
        readings.append(None)
        yield frame[:120]
        if len(readings) > 3:  # the second epoch
            raise OSError("the disk is gone")
        yield frame[120:]

    model = vae().fit(frame)
    before = model.transform(frame)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(ChunkedRows(make, n_rows=241))
    assert np.array_equal(model.transform(frame), before)


def test_a_divergent_fit_of_a_source_says_so(mixed, streamed):
    with pytest.raises(DivergenceError):
        vae(learning_rate_init=1e30, max_iter=5).fit(ParquetRows(mixed[1]))


def test_reading_is_told_where_asked_for(mixed, capsys):
    vae(verbose=0, max_iter=1).fit(ParquetRows(mixed[1]))
    assert capsys.readouterr() == ("", "")
    vae(verbose=1, max_iter=1).fit(ParquetRows(mixed[1]))
    told = capsys.readouterr().err
    assert "kinds and levels: 100%" in told
    assert "scales and gaps: 100%" in told


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Ten times as many rows take hardly more."""
    program = """
import resource, sys, numpy as np
from sklae import AutoencoderTransformer
from sklae.sources import ChunkedRows
n = int(sys.argv[1])
rows = ChunkedRows(lambda: (np.random.RandomState(i).normal(size=(20_000, 20)) for i in range(n)), n_rows=20_000 * n)
AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_iter=1, batch_size=2_000, random_state=0).fit(rows).score(rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    used = []
    for n in (4, 40):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(n)], capture_output=True, text=True, check=True
        )
        used.append(int(done.stdout))
    assert used[1] - used[0] < 100  # MB, of 128 more in the rows
