"""One call of the user's gives one warning for one cause, under the filters that Python starts with."""

import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

from sklae import AutoencoderTransformer
from sklae._utils.warnings import told_once, warn

SCRIPT = """
import sys, warnings
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer

X = np.random.RandomState(0).normal(size=(60, 3))
y = X[:, 0]
gaps = np.where(X > 1.2, np.nan, X)
frame = pd.DataFrame(X).assign(kind=["a", "c"] * 20 + ["b"] * 20).rename(columns=str)
short = dict(n_components=1, hidden_layer_sizes=(4,), max_iter=4, random_state=0, early_stopping=False)
short |= dict(learning_rate="constant", learning_rate_init=1e-4)
ae = AutoencoderTransformer(**short)
rates = {"learning_rate_init": [1e-4, 2e-4, 3e-4, 4e-4, 5e-4]}
search = GridSearchCV(ae, rates, cv=3, scoring=lambda model, X, y=None: model.score(X))
pipe = make_pipeline(AEImputer(VAETransformer(**short), random_state=0), LinearRegression())


def case(name):
    print("CASE", name, file=sys.stderr, flush=True)


case("search")
search.fit(X)
case("again")
search.fit(X)
case("score")
cross_val_score(make_pipeline(ae, LinearRegression()), X, y, cv=3)
case("imputer")
cross_val_score(pipe, gaps, y, cv=3)
case("curve")
learning_curve(make_pipeline(ae, LinearRegression()), X, y, cv=3, train_sizes=[0.5, 0.9])
case("detector")
AEOutlierDetector(ae, n_estimators=3, random_state=0).fit(X)
case("causes")
cross_val_score(ae, frame, cv=3, scoring=lambda model, X, y=None: model.score(X))
case("loop")
for _ in range(3):
    ae.set_params(warm_start=True).fit(X)
case("always")
with warnings.catch_warnings():
    warnings.simplefilter("always")
    cross_val_score(make_pipeline(ae, LinearRegression()), X, y, cv=3)
case("ignored")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    search.fit(X)
case("processes")
search.set_params(n_jobs=2, refit=False).fit(X)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the script says, case by case: the file and the line of each warning."""
    script = tmp_path_factory.mktemp("told") / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = SCRIPT.splitlines()
    found = {}
    for part in done.stderr.split("CASE ")[1:]:
        name, _, said = part.partition("\n")
        places = re.findall(r"^(\S+):(\d+): (\w+): (.*)", said, re.M)
        found[name] = [
            (lines[int(at) - 1].strip() if file == str(script) else file, text) for file, at, _, text in places
        ]
    return found


CALLS = {
    "search": "search.fit(X)",
    "again": "search.fit(X)",
    "score": "cross_val_score(make_pipeline(ae, LinearRegression()), X, y, cv=3)",
    "imputer": "cross_val_score(pipe, gaps, y, cv=3)",
    "curve": "learning_curve(make_pipeline(ae, LinearRegression()), X, y, cv=3, train_sizes=[0.5, 0.9])",
    "detector": "AEOutlierDetector(ae, n_estimators=3, random_state=0).fit(X)",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_tells_once_and_points_at_the_line(told, name):
    ((line, text),) = told[name]
    assert line == CALLS[name]
    assert "Maximum iterations" in text


def test_each_cause_is_told(told):
    assert len({text for _, text in told["causes"]}) == len(told["causes"]) == 2


def test_other_filters_mean_what_they_say(told):
    assert len(told["always"]) == 3
    assert not told["ignored"]
    assert 1 <= len(told["loop"]) <= 3  # each is a call of its own: what Python shows of them


def test_a_worker_tells_once(told):
    assert 1 <= len(told["processes"]) <= 2


def short(**params):
    start = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "early_stopping": False}
    return AutoencoderTransformer(1, learning_rate="constant", learning_rate_init=1e-4, **start | params)


def no_score(model, X, y=None):
    return 0.0


X = np.random.RandomState(0).normal(size=(30, 3))


@pytest.mark.parametrize(("action", "n_told"), [("default", 1), ("module", 1), ("always", 3), ("ignore", 0)])
def test_recorded_as_the_filters_say(action, n_told):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter(action, ConvergenceWarning)
        cross_val_score(short(), X, cv=3, scoring=no_score)
    assert len(caught) == n_told


def test_filters_by_text_are_heard():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.filterwarnings("always", "Maximum iterations")
        cross_val_score(short(), X, cv=3, scoring=no_score)
    assert len(caught) == 3


def test_errors_stay_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            cross_val_score(short(), X, cv=3, scoring=no_score, error_score="raise")


def test_pytest_sees_all():
    with pytest.warns(ConvergenceWarning) as caught:
        cross_val_score(short(), X, cv=3, scoring=no_score)
    assert len(caught) == 3


@pytest.mark.parametrize(
    ("texts", "n_told"),
    [
        (["Got 3 rows", "Got 4,000 rows", "Got -1.5e-3 rows"], 1),
        (["column x1", "column x2"], 2),
        (["level '1'", "level '2'", 'level "3"'], 3),
        (["it hasn't 4", "it hasn't 5"], 1),
    ],
)
def test_numbers_make_no_other_cause(texts, n_told):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with told_once():
            for text in texts:
                warn(text)
    assert [str(each.message) for each in caught] == texts[:n_told]


def test_a_cause_that_is_named_counts_in_place_of_the_text():
    with warnings.catch_warnings(record=True) as caught, told_once():
        for column, level in [("a", "x"), ("a", "y"), ("b", "x")]:
            warn(f"Got levels of {column}, such as {level}", cause=column)
    assert len(caught) == 2
