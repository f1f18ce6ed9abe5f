"""Fitted estimators as ONNX models: what they answer, how they are fed, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from served import answers, assert_serves, same, scale_of
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from support import QUICK, make_table

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.likelihoods import Blocks, Poisson

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

from sklae.onnx import to_onnx  # noqa: E402

SERVER = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sklae", "torch", "sklearn", "onnx"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
(codes,) = session.run(["transform"], {"X": np.load(sys.argv[2])})
assert "torch" not in sys.modules
np.save(sys.argv[3], codes)
"""


@pytest.fixture(scope="module")
def frame():
    rng = np.random.RandomState(0)
    city = rng.choice(["Rome", "Oslo", "Bonn"], size=80)
    table = pd.DataFrame(
        {
            # as float32 has them: that is what the graph is fed
            "year": (2020 + rng.normal(size=80) + 3.0 * (city == "Rome")).astype(np.float32).astype(np.float64),
            "visits": rng.poisson(3.0, size=80),
            "city": city,
            "is_new": rng.uniform(size=80) < 0.3,
            "size": pd.Categorical(rng.choice(["S", "M", "L"], size=80), categories=["S", "M", "L"], ordered=True),
            "code": pd.Categorical(rng.choice([10, 20], size=80)),
            "always": 7.5,
        }
    )
    table.loc[::9, "year"] = np.nan
    return table


@pytest.fixture(scope="module")
def odd_rows(frame):
    """Rows with gaps, unseen levels and far values, beside usual ones."""
    rows = frame.iloc[1:9].copy()
    rows["visits"] = rows["visits"].astype(float)
    rows.loc[2, "city"] = "Atlantis"
    rows.loc[3, ["city", "size", "code"]] = None
    rows.loc[4, ["year", "always"]] = np.nan
    rows.loc[5, "year"] = 1e12
    return rows


def _array(n_columns=4):
    table = make_table(60, n_columns).astype(np.float32)
    table[::5, 1] = np.nan
    return table


# -- what is answered ------------------------------------------------------------------------------------


def test_a_frame_with_text_gaps_unseen_levels_and_far_values(frame, odd_rows):
    ae = AutoencoderTransformer(2, condition_features=["code", "is_new"], clip=5.0, **QUICK).fit(frame)
    model = assert_serves(ae, ("transform", "reconstruct"), odd_rows)
    assert [value.name for value in model.graph.input] == list(frame.columns)
    properties = {prop.key: prop.value for prop in model.metadata_props}
    assert properties["class"] == "AutoencoderTransformer"
    assert properties["method"] == "transform,reconstruct"
    assert __file__.encode() not in model.SerializeToString()


@pytest.mark.slow
def test_a_frame_under_a_density(frame, odd_rows):
    vae = VAETransformer(2, condition_features=["code", "is_new"], **QUICK).fit(frame)
    assert_serves(vae, ("encode", "score_samples"), odd_rows)


def test_an_array_with_gaps_and_far_values_without_pytorch_and_sklae(tmp_path):
    table = _array()
    vae = VAETransformer(2, likelihood="gaussian", prior="normal", **QUICK).fit(table)
    rows = table[:7].copy()
    rows[1], rows[2, 0] = np.nan, 1e12
    model = assert_serves(vae, ("transform", "encode", "score_samples"), rows)
    graph, fed, out = tmp_path / "vae.onnx", tmp_path / "rows.npy", tmp_path / "codes.npy"
    onnx.save(model, graph)
    np.save(fed, table)
    subprocess.run([sys.executable, "-c", SERVER, graph, fed, out], check=True, capture_output=True, timeout=60)
    same(np.load(out), vae.transform(table), np.ones(len(table)), 1e-5, "codes")


@pytest.mark.slow
def test_codes_are_decoded():
    table = make_table(60, 3)
    ae = AutoencoderTransformer(2, **QUICK).fit(table)
    codes = ae.transform(table)[:5]
    assert_serves(ae, ["inverse_transform"], codes, dtype="float64", tolerance=1e-12)


@pytest.mark.slow
def test_rows_outside_the_support_have_no_score():
    counts = np.random.RandomState(0).poisson(3.0, size=(50, 2)).astype(float)
    likelihood = Blocks([("a", Poisson(), [0]), ("b", "categorical", [1])])
    ae = AutoencoderTransformer(1, likelihood=likelihood, **QUICK).fit(counts)
    rows = np.array([[2.0, 1.0], [-1.0, 1.0], [2.5, 1.0], [2.0, 99.0], [np.nan, np.nan]])
    got = answers(to_onnx(ae, "score_samples", dtype="float64"), rows)["score_samples"]
    assert np.isnan(got).tolist() == [False, True, True, True, False]
    same(got[[0, 4]], ae.score_samples(rows[[0, 4]]), scale_of(got[[0, 4]]), 1e-12, "scores")


DETECTION = ("decision_function", "predict", "score_samples", "p_values", "transform")


def test_a_detector_knows_the_rows_that_were_fitted():
    table = _array(3)
    ae = AutoencoderTransformer(1, likelihood="gaussian", **QUICK)
    detector = AEOutlierDetector(ae, anomaly_score="reconstruction", cv=3, random_state=0).fit(table)
    # recognised by keys of 64 bits
    rows = np.vstack([table[:6], 1.1 * table[:2], np.full((1, 3), np.nan), [[0.0, 1e12, np.nan]]]).astype(np.float32)
    assert_serves(detector, DETECTION, rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "settings"),
    [
        ("combined", {}),
        ("elbo", {"validation_fraction": 0.2}),
        (["neighbors", "reconstruction"], {"support_fraction": 1.0, "n_estimators": 2}),
    ],
)
def test_detectors_of_frames(kinds, settings, frame, odd_rows):
    kind = VAETransformer if kinds == "elbo" else AutoencoderTransformer
    ae = kind(2, condition_features=["is_new"], **QUICK)
    if kinds == "combined":
        ae = AutoencoderTransformer(2, **QUICK)
    detector = AEOutlierDetector(ae, anomaly_score=kinds, cv=3, random_state=0, **settings).fit(frame)
    rows = pd.concat([odd_rows, frame[9:12]])
    assert_serves(detector, DETECTION, rows, dtype="float64", tolerance=1e-9)
    assert_serves(detector, DETECTION[:3], odd_rows)


# -- pipelines --------------------------------------------------------------------------------------------


def test_pipelines_of_arrays():
    table, kind = make_table(60, 4).astype(np.float32), np.arange(60) % 3
    pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(2, **QUICK), LogisticRegression())
    pipeline.fit(table, kind)
    got = answers(to_onnx(pipeline), table[:7])
    same(got["probabilities"], pipeline.predict_proba(table[:7]), np.ones(7), 1e-5, "probabilities")


@pytest.mark.slow
def test_skl2onnx_converts_by_itself():
    table = make_table(60, 4).astype(np.float32)
    for estimator, names in [
        (AutoencoderTransformer(2, **QUICK), ["transform"]),
        (
            AEOutlierDetector(AutoencoderTransformer(2, **QUICK), anomaly_score="reconstruction", cv=None),
            ["predict", "decision_function"],
        ),
    ]:
        pipeline = make_pipeline(StandardScaler(), estimator).fit(table)
        got = answers(skl2onnx.to_onnx(pipeline, table[:1]), table[:7])
        assert list(got) == names
        for name in names:
            same(got[name], getattr(pipeline, name)(table[:7]), np.ones(7), 1e-5, name)


@pytest.mark.slow
def test_pipelines_of_frames(frame):
    table = frame.drop(columns=["size", "code", "is_new", "always"])
    parts = [("ae", AutoencoderTransformer(1, **QUICK), ["year", "visits"]), ("city", OneHotEncoder(), ["city"])]
    pipeline = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(table, frame["size"].astype(str))
    with pytest.raises(ValueError, match=r"expected some, that tell text from numbers. Pass X=frame.head"):
        to_onnx(pipeline)
    got = answers(to_onnx(pipeline, X=table.head()), table[:7])
    same(got["probabilities"], pipeline.predict_proba(table[:7]), np.ones(7), 1e-5, "probabilities")


@pytest.mark.slow
def test_the_last_step_answers_what_is_asked():
    table = make_table(60, 4).astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), VAETransformer(2, **QUICK)).fit(table)
    got = answers(to_onnx(pipeline, "encode"), table[:5])
    assert {name: value.shape for name, value in got.items()} == {"encode_mean": (5, 2), "encode_std": (5, 2)}
    same(got["encode_mean"], pipeline.transform(table[:5]), np.ones(5), 1e-5, "codes")
    foreign = make_pipeline(pipeline[-1], StandardScaler()).fit(table)
    with pytest.raises(ValueError, match="method='transform' for a pipeline that ends in StandardScaler"):
        to_onnx(foreign, "transform")


# -- refusals ---------------------------------------------------------------------------------------------


def test_what_does_not_translate_is_refused_by_name():
    table = make_table(40, 3)
    ae = AutoencoderTransformer(1, **QUICK)
    with pytest.raises(Exception, match="not fitted"):
        to_onnx(ae)
    ae.fit(table)
    for method, message in [
        ("sample", r"method='sample' of AutoencoderTransformer, which does not translate"),
        ([], r"method=\[\]; expected one or several of \['transform'"),
        (["transform", "transform"], "each once"),
        (["transform", "inverse_transform"], "some read rows and some read codes"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_onnx(ae, method)
    with pytest.raises(ValueError, match="Got dtype='float16'; expected one of"):
        to_onnx(ae, dtype="float16")
    with pytest.raises(TypeError, match="Got StandardScaler; expected a Pipeline, or one of AEImputer"):
        to_onnx(StandardScaler().fit(table))
    point = VAETransformer(1, posterior="point", divergence="mmd", **QUICK).fit(table)
    with pytest.raises(AttributeError, match="score_samples"):
        to_onnx(point, "score_samples")


def test_columns_that_no_tensor_holds_are_refused():
    days = pd.DataFrame({"x": np.arange(20.0), "day": pd.Categorical([date(2020, 1, 1 + i % 3) for i in range(20)])})
    ae = AutoencoderTransformer(1, condition_features=["day"], **QUICK).fit(days)
    with pytest.raises(ValueError, match=r"column 'day', whose levels are of type date; expected text, or"):
        to_onnx(ae)
    close = np.column_stack([np.arange(20.0), np.where(np.arange(20) % 2, 1.0, 1.0 + 1e-12)])
    ae = AutoencoderTransformer(1, categorical_features=[1], **QUICK).fit(close)
    with pytest.raises(ValueError, match=r"levels that are equal in float32; expected different ones. Pass dtype="):
        to_onnx(ae)
    named = pd.DataFrame(make_table(20, 2), columns=["transform", "b"])
    with pytest.raises(ValueError, match="a column 'transform', which an output of the graph is called"):
        to_onnx(AutoencoderTransformer(1, **QUICK).fit(named))


def test_imputers_are_refused_with_the_reason():
    table = _array()
    imputer = AEImputer(random_state=0).fit(table)
    with pytest.raises(ValueError, match="method='transform' of AEImputer, which does not translate to ONNX: "):
        to_onnx(imputer, "transform")


@pytest.mark.slow
def test_levels_that_are_numbers_in_float64():
    close = np.column_stack([np.arange(20.0), np.where(np.arange(20) % 2, 1.0, 1.0 + 1e-12)])
    ae = AutoencoderTransformer(1, categorical_features=[1], **QUICK).fit(close)
    assert_serves(ae, ["transform", "reconstruct"], close[:5], dtype="float64", tolerance=1e-12)


def test_the_guide_lists_what_translates():
    from sklae.onnx._methods import CONVERTERS

    guide = Path(__file__).parents[2] / "docs" / "guide" / "serving.md"
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", guide.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name: re.findall(r"`(\w+)`", methods) for name, methods in rows}
    assert listed == {
        kind.__name__: [name for answers in kinds for name in answers.verbs] for kind, kinds in CONVERTERS.items()
    }


def test_absent_libraries_are_named(monkeypatch):
    monkeypatch.setattr("sklae.onnx.find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ImportError, match=r'Got no onnxscript; .* pip install "sklae\[onnx\]"'):
        to_onnx(AutoencoderTransformer())
