"""Searches and scoring on Dask: what they give is what they give without."""

import os
import signal
import time

import joblib
import numpy as np
import pandas as pd
import pytest
from shared_fits import PLAIN, table
from sklearn.model_selection import GridSearchCV

from sklae import AEOutlierDetector, VAETransformer

pytest.importorskip("distributed")
dataframe = pytest.importorskip("dask.dataframe")
from dask.distributed import Client, LocalCluster  # noqa: E402


def _frame():
    return pd.DataFrame(table(gaps=True), columns=list("abcdef"))


def _search():
    return GridSearchCV(VAETransformer(**PLAIN), {"n_components": [1, 2], "beta": [0.5, 1.0]}, cv=2)


def _results(search):
    return {name: values for name, values in search.cv_results_.items() if not name.endswith("_time")}


def _assert_same_results(search, local):
    assert list(_results(search)) == list(_results(local))
    for name, values in _results(local).items():
        np.testing.assert_array_equal(_results(search)[name], values)
    weights, expected = (each.best_estimator_.net_.module_.parameters() for each in (search, local))
    assert all(a.equal(b) for a, b in zip(weights, expected, strict=True))


def _scores(rows, detector):
    return pd.Series(detector.score_samples(rows), index=rows.index, name="score")


def _scores_slowly(rows, detector):
    time.sleep(0.5)
    return _scores(rows, detector)


def _quick_detector():
    return AEOutlierDetector(anomaly_score="reconstruction", random_state=0).fit(_frame())


def test_searches_and_scores_by_threads_of_dask():
    X, detector = _frame(), _quick_detector()
    local = _search().fit(X)
    rows = dataframe.from_pandas(X, npartitions=5)
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        with joblib.parallel_backend("dask"):
            search = _search().fit(X)
        scores = rows.map_partitions(_scores, detector, meta=("score", "f8")).compute()
        codes = rows.map_partitions(search.best_estimator_.transform).compute()
    _assert_same_results(search, local)
    np.testing.assert_allclose(scores, detector.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(codes, local.transform(X), rtol=1e-5)


@pytest.mark.slow
def test_searches_and_scores_by_processes_of_dask_of_which_one_is_killed():
    X, detector = _frame(), _quick_detector()
    local = _search().fit(X)
    rows = dataframe.from_pandas(X, npartitions=12)
    settings = {"processes": True, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        client.upload_file(__file__)
        with joblib.parallel_backend("dask"):
            search = _search().fit(X)
        _assert_same_results(search, local)
        pids = client.run(os.getpid)
        future = client.compute(rows.map_partitions(_scores_slowly, detector, meta=("score", "f8")))
        _wait_for_a_part(client)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        scores = future.result(timeout=120)
        client.wait_for_workers(2, timeout=60)
        assert set(client.run(os.getpid).values()) != set(pids.values())
    np.testing.assert_allclose(scores, detector.score_samples(X), rtol=1e-9)


def _wait_for_a_part(client):
    """Wait until some scores are there, and others are not."""
    for _ in range(600):
        held = client.has_what()
        if any("_scores_slowly" in str(key) for keys in held.values() for key in keys):
            return
        time.sleep(0.1)
    raise AssertionError("nothing was scored")
