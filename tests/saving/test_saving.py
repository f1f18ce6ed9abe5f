"""Files of plain values: they say the same, bit for bit, hold no code, and are refused when they are not whole."""

import io
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from support import LISTED, into_support
from torch import nn
from toys import X, ae, detector, fingerprint, outputs, same, vae, with_gaps

import sklae
from benchmarks.robustness.hostile_files import rewritten
from sklae import AEImputer, AEOutlierDetector
from sklae.exceptions import InconsistentVersionWarning

pytest.importorskip("safetensors")

RNG = np.random.default_rng(0)
MIXED = pd.DataFrame(
    {
        "size": RNG.normal(size=60),
        "n": RNG.integers(0, 9, 60),
        "kind": pd.Categorical(np.array(list("abc"))[RNG.integers(0, 3, 60)]),
        "text": np.array(["x", "y"])[RNG.integers(0, 2, 60)],
        "flag": RNG.uniform(size=60) < 0.5,
    }
)
GAPPY = MIXED.mask(np.random.default_rng(1).uniform(size=MIXED.shape) < 0.1)

DATED = MIXED.assign(
    day=pd.to_datetime(["2024-01-01", "2024-02-01"])[RNG.integers(0, 2, 60)].tz_localize("Europe/Rome")
)
ARROW = GAPPY.convert_dtypes(dtype_backend="pyarrow")


def through_file(estimator, **settings):
    file = io.BytesIO()
    sklae.save(estimator, file, **settings)
    file.seek(0)
    return sklae.load(file)


def bytes_of(estimator):
    file = io.BytesIO()
    sklae.save(estimator, file)
    return file.getvalue()


class Module(nn.Module):
    """A user's own."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, h):
        return self.layer(h)


#: Name -> function to a fitted estimator, and a table to ask it about.
FITTED = {
    "mixed, pandas": (lambda: vae().fit(GAPPY), GAPPY),
    "mixed, polars": (lambda: ae().fit(pl.from_pandas(GAPPY)), pl.from_pandas(GAPPY)),
    "conditions": (lambda: vae(condition_features=["kind", "n"]).fit(MIXED), MIXED),
    "density of codes": (lambda: ae(sample_from="aggregate").fit(X), X),
    "flow of codes": (lambda: ae(sample_from="flow").fit(X), X),
    "callbacks": (
        lambda: ae(callbacks=[EarlyStopping(monitor="train_loss"), EpochScoring("r2", on_train=True)]).fit(X),
        X,
    ),
    "float32": (lambda: ae().fit(X.astype(np.float32)), X.astype(np.float32)),
    "imputer": (lambda: AEImputer(random_state=0).fit(GAPPY), GAPPY),
    "imputer of draws": (lambda: AEImputer(n_imputations=2, random_state=0).fit(with_gaps(X)), with_gaps(X)),
    "imputer, given": (lambda: AEImputer(vae(), random_state=0).fit(GAPPY), GAPPY),
    "detector": (lambda: AEOutlierDetector(ae(), random_state=0).fit(GAPPY), GAPPY),
    "residuals": (lambda: detector().fit(X), X),
    "search": (
        lambda: GridSearchCV(vae(), {"n_components": [1, 2]}, cv=2).fit(X),
        X,
    ),
    "search by a metric": (
        lambda: GridSearchCV(
            make_pipeline(ae(), LogisticRegression()), {"autoencodertransformer__n_components": [1]}, scoring="f1", cv=2
        ).fit(X, X[:, 0] > 0),
        X,
    ),
    "dates": (lambda: vae(condition_features=["day"]).fit(DATED), DATED),
    "Arrow": (lambda: ae().fit(ARROW), ARROW),
    "scheduler": (lambda: ae(callbacks=[("rate", LRScheduler("StepLR", step_size=1))]).fit(X), X),
    "pipeline": (lambda: make_pipeline(StandardScaler(), vae(), LogisticRegression()).fit(X, X[:, 0] > 0), X),
    "column transformer": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("codes", ae(), ["size", "n", "kind"]),
                    ("one_hot", OneHotEncoder(), ["text"]),
                    ("log", FunctionTransformer(np.log1p), ["n"]),
                ],
            ),
            vae(),
        ).fit(MIXED),
        MIXED,
    ),
}


VERBS = ("transform", "reconstruct", "predict", "score_samples", "decision_function", "p_values", "predict_proba")


def answers(estimator, table):
    """Return what every verb says of a table, spelt out: text and gaps included."""
    found = {verb: getattr(estimator, verb)(table) for verb in VERBS if hasattr(estimator, verb)}
    if hasattr(estimator, "sample") and not getattr(estimator, "condition_features", None):
        found["sample"] = estimator.sample(5, random_state=0)
    return {verb: np.asarray(each).astype(str).tolist() for verb, each in found.items()}


@pytest.mark.parametrize("name", FITTED)
def test_files_say_the_same(name):
    make, table = FITTED[name]
    estimator = make()
    content = bytes_of(estimator)
    assert content == bytes_of(estimator)
    twin = sklae.load(io.BytesIO(content))
    assert type(twin) is type(estimator)
    assert re.sub("0x[0-9a-f]+", "", repr(twin)) == re.sub("0x[0-9a-f]+", "", repr(estimator))
    wanted = answers(estimator, table)
    assert len(wanted) > 0
    assert answers(twin, table) == wanted


BLOCKS = [("first", "gaussian", slice(0, 2)), ("second", "gaussian", slice(2, None))]
#: Name of a part -> what else it takes.
NEEDS = {
    "point": {"divergence": "mmd"},
    "adversarial": {"posterior": "point", "critic": "data"},
    "product_of_experts": {"likelihood": BLOCKS},
    "block_masking": {"likelihood": BLOCKS},
    "binarize": {"likelihood": "bernoulli"},
}
FAMILIES = [(kind, name) for kind in LISTED for name in LISTED[kind]]


@pytest.mark.parametrize(("kind", "name"), FAMILIES)
def test_parts_say_the_same(kind, name):
    part, make = LISTED[kind][name], vae if kind in ("prior", "posterior", "divergence", "beta") else ae
    table = into_support(X, part) if kind == "likelihood" else X
    if name == "binarize":
        table = np.clip((X - X.min(0)) / np.ptp(X, axis=0), 0.0, 1.0)
    estimator = make(**{kind: part, **NEEDS.get(name, {})}, max_iter=1).fit(table)
    assert answers(through_file(estimator), table) == answers(estimator, table)


@pytest.mark.parametrize("make", [ae, vae])
def test_with_the_optimizer_training_goes_on_as_it_would(make):
    estimator = make(learning_rate="constant").fit(X)
    twin = through_file(estimator, optimizer=True)
    assert same(fingerprint(twin), fingerprint(estimator))
    for each in (twin, estimator):
        each.partial_fit(X)
    assert same(fingerprint(twin), fingerprint(estimator))


def test_without_it_training_goes_on_from_the_weights():
    estimator = ae().fit(X)
    twin = through_file(estimator)
    before = twin.transform(X)
    twin.partial_fit(X)
    assert twin.n_iter_ == estimator.n_iter_ + 1
    assert not np.array_equal(twin.transform(X), before)
    large = ae(hidden_layer_sizes=(128,)).fit(X)
    n_numbers = sum(each.numel() for each in large.net_.module_.parameters())
    whole = io.BytesIO()
    sklae.save(large, whole, optimizer=True)
    assert whole.tell() - len(bytes_of(large)) > 2 * 4 * n_numbers


def test_other_processes_read_the_same(tmp_path):
    estimator = vae().fit(GAPPY)
    sklae.save(estimator, tmp_path / "model.sklae")
    GAPPY.to_pickle(tmp_path / "table.pkl")
    program = (
        "import sklae, sys, numpy as np, pandas as pd; folder = sys.argv[1];"
        "codes = sklae.load(folder + '/model.sklae').transform(pd.read_pickle(folder + '/table.pkl'));"
        "np.save(folder + '/codes.npy', codes)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), estimator.transform(GAPPY))


def test_estimators_without_a_fit_and_parts_alone():
    assert repr(through_file(vae(prior="vamp"))) == repr(vae(prior="vamp"))
    assert repr(through_file(sklae.priors.VampPrior(7))) == repr(sklae.priors.VampPrior(7))


# -- what is the user's ---------------------------------------------------------------------------------


def test_modules_of_the_users_own_are_named_and_trusted():
    estimator = ae(encoder=Module, hidden_layer_sizes=None).fit(X)
    content = bytes_of(estimator)
    with pytest.raises(ValueError, match=r"test_saving:Module'.*trusted=\[.*what its user made: test_saving:Module"):
        sklae.load(io.BytesIO(content))
    twin = sklae.load(io.BytesIO(content), trusted=[Module])
    assert same(outputs(twin, X), outputs(estimator, X))


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: ae(encoder=lambda n, m: nn.Linear(n, m), hidden_layer_sizes=None).fit(X), "encoder"),
        (lambda: make_pipeline(ae(), RandomForestClassifier(2)).fit(X, X[:, 0] > 0), "Tree"),
    ],
    ids=["lambda", "forest"],
)
def test_what_has_no_place_is_refused_and_nothing_is_written(make, where, tmp_path):
    path = tmp_path / "model.sklae"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=rf"(?s)Got .*{where}.*expected classes and functions that can be imported"):
        sklae.save(make(), path)
    assert [each.name for each in tmp_path.iterdir()] == ["model.sklae"]
    assert path.read_bytes() == b"before"


def test_folders_have_to_be_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Got path=.*in a folder that is not there; expected one that is"):
        sklae.save(ae(), tmp_path / "none" / "model.sklae")


# -- hostile files --------------------------------------------------------------------------------------


SMALL = bytes_of(ae(max_iter=1).fit(X))


@pytest.mark.parametrize("seed", range(200))
def test_damaged_files_are_refused(seed):
    rng = np.random.default_rng(seed)
    content = bytearray(SMALL)
    if seed % 3 == 0:
        content = content[: rng.integers(len(content))]
    elif seed % 3 == 1:
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    else:
        start = rng.integers(len(content) - 8)
        content[start : start + 8] = rng.bytes(8)
    with pytest.raises(ValueError, match=r"Got a file that .*expected"):
        sklae.load(io.BytesIO(bytes(content)))


PAYLOADS = [
    "os:system",
    "builtins:eval",
    "subprocess:Popen",
    "sklae._cli.main:main",
    "pathlib:Path",
    "numpy:load",
    "joblib:load",
    "sklearn.utils._testing:ignore_warnings",
    "torch:load",
    "sklae._saving.file:save",
    "a..b:c",
    "sklearn.x y:Z",
]


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("kind", ["object", "partial", "name", "named"])
def test_names_that_are_not_known_are_not_called(name, kind, tmp_path):
    planted = tmp_path / "planted"

    def change(document):
        nodes = document["nodes"]
        call = f"open({str(planted)!r}, 'w')"
        nodes += [["name", name], ["list", [call]], ["dict", []]]
        place = len(nodes) - 3
        nodes.append(
            {
                "object": ["object", name, ["node", place + 2]],
                "partial": ["partial", ["node", place], ["node", place + 1], ["node", place + 2]],
                "name": ["name", name],
                "named": ["named", name, [call]],
            }[kind]
        )
        document["root"] = ["node", len(nodes) - 1]

    with pytest.raises(ValueError, match=r"can't be read: it holds .*not known here"):
        sklae.load(io.BytesIO(rewritten(SMALL, change)))
    assert not planted.exists()


def _endless(document):
    document["nodes"][document["root"][1]] = ["tuple", [document["root"]]]


def _deep(document):
    document["nodes"] = [["tuple", [["node", i + 1]]] for i in range(10_000)] + [["list", []]]
    document["root"] = ["node", 0]


def _elsewhere(document):
    document["root"] = ["node", 10**9]


def _vast(document):
    document["nodes"].append(["array", 0, [2**40, 2**20], "C"])
    document["root"] = ["node", len(document["nodes"]) - 1]


def _unheard_of(document):
    document["root"] = ["code", "print()"]


@pytest.mark.parametrize("change", [_endless, _deep, _elsewhere, _vast, _unheard_of])
def test_impossible_values_are_refused(change):
    with pytest.raises(ValueError, match="can't be read"):
        sklae.load(io.BytesIO(rewritten(SMALL, change)))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04.", b"PK\x03\x04" + b"0" * 99, struct.pack("<Q", 2**60) + b"{}", b"[" * 10**5]
)
def test_other_files_are_refused(content):
    with pytest.raises(ValueError, match=r"none of sklae's, or is damaged; expected one that sklae\.save wrote"):
        sklae.load(io.BytesIO(content))


# -- versions -------------------------------------------------------------------------------------------


def test_newer_formats_and_other_versions_are_told():
    newer = rewritten(SMALL, lambda document: document.update(format=2, version="9.1.0"))
    with pytest.raises(
        ValueError, match=r"format 2, which sklae 9\.1\.0 wrote; expected .* Install sklae 9\.1\.0 or newer"
    ):
        sklae.load(io.BytesIO(newer))
    older = rewritten(SMALL, lambda document: document.update(version="0.1.9"))
    with pytest.warns(InconsistentVersionWarning, match=r"sklae 0\.1\.9 wrote"):
        sklae.load(io.BytesIO(older))


@pytest.mark.filterwarnings("ignore::sklae.exceptions.InconsistentVersionWarning")
def test_a_file_of_the_first_format_is_read():
    """For as long as the format stands."""
    folder = Path(__file__).parent
    model = sklae.load(folder / "format_1.sklae")
    rows = pd.DataFrame({"a": [0.5, np.nan], "k": ["x", "y"]})
    expected = json.loads((folder / "format_1.json").read_text())
    np.testing.assert_allclose(model.transform(rows), expected["transform"], rtol=1e-5)
    np.testing.assert_allclose(model.score_samples(rows), expected["score_samples"], rtol=1e-5)


# -- files of others ------------------------------------------------------------------------------------


# skops can't make Timestamps of pandas again, nor some functions
NOT_OF_SKOPS = ("callbacks", "flow of codes", "Arrow", "scheduler", "dates")


@pytest.mark.parametrize("name", [name for name in FITTED if name not in NOT_OF_SKOPS])
def test_skops_reads_what_is_trusted_in_one_list(name):
    io_of_skops = pytest.importorskip("skops.io")
    make, table = FITTED[name]
    estimator = make()
    content = io_of_skops.dumps(estimator)
    unknown = set(io_of_skops.get_untrusted_types(data=content)) - set(sklae.trusted_types())
    assert not {each for each in unknown if not each.startswith("sklearn.")}
    twin = io_of_skops.loads(content, trusted=[*sklae.trusted_types(), *unknown])
    assert answers(twin, table) == answers(estimator, table)


def test_hashes_of_what_was_loaded_are_the_same_each_time():
    estimator = vae().fit(GAPPY)
    twins = [through_file(estimator, optimizer=True) for _ in range(2)]
    assert joblib.hash(twins[0]) == joblib.hash(twins[1])


def test_mlflow_logs_and_loads_them(tmp_path):
    models = pytest.importorskip("mlflow.sklearn")
    estimator = vae().fit(X)
    models.save_model(estimator, tmp_path / "model", skops_trusted_types=sklae.trusted_types())
    np.testing.assert_array_equal(models.load_model(tmp_path / "model").transform(X), estimator.transform(X))
