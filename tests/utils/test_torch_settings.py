"""No call uses more torch threads than it should, and no setting outlives it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from support import make_table
from toys import MAKERS, Spy, X, ae, detector, inner, outputs, raise_at, vae

from sklae import AEImputer
from sklae._utils.quasi_random import antithetic_draws, grouped_draws

N_THREADS = 3


@pytest.fixture(autouse=True)
def _some_threads():
    """More threads than one, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    yield
    torch.set_num_threads(before)


def in_new_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def assert_restored():
    assert torch.get_num_threads() == N_THREADS
    assert in_new_thread(torch.get_num_threads) == N_THREADS


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def test_a_call_uses_one_thread_and_restores_the_count(make):
    counts = []
    estimator = make(callbacks=[Spy(lambda net: counts.append(torch.get_num_threads()))]).fit(X)
    assert_restored()
    inner(estimator).partial_fit(X)
    assert_restored()
    inner(estimator).net_.module_.encoder.register_forward_hook(lambda *_: counts.append(torch.get_num_threads()))
    for dtype in (np.float32, np.float64):
        outputs(estimator, X.astype(dtype))
        assert_restored()
    assert set(counts) == {1}


def test_decoding_and_sampling_use_one_thread():
    counts = []
    estimator = vae().fit(X)
    estimator.net_.module_.decoder.register_forward_hook(lambda *_: counts.append(torch.get_num_threads()))
    estimator.inverse_transform(estimator.transform(X))
    estimator.sample(5)
    assert set(counts) == {1}
    assert_restored()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_exceptions_restore_the_count(make, error):
    with pytest.raises(error):
        make(callbacks=[raise_at(1, error)]).fit(X)
    assert_restored()
    with pytest.raises(ValueError, match="all constant"):
        make().fit(np.ones((5, 2)))
    assert_restored()


@pytest.mark.parametrize("first_to_leave", [0, 1])
def test_overlapping_fits_restore_the_count(make, first_to_leave):
    entered, may_leave = ([threading.Event() for _ in range(2)] for _ in range(2))

    def fit(place):
        def hold(net):
            entered[place].set()
            assert may_leave[place].wait(60)

        if place:
            entered[0].wait(60)
        make(callbacks=[Spy(hold)], max_iter=1).fit(X)
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(fit, place) for place in range(2)]
        assert entered[1].wait(60)
        for place in (first_to_leave, 1 - first_to_leave):
            may_leave[place].set()
            assert fits[place].result(60) == N_THREADS
    assert_restored()


def test_many_overlapping_calls_restore_the_count():
    fitted = ae().fit(X)

    def call(i):
        if i % 3 == 0:
            return fitted.transform(X)
        return ae(max_iter=1 + i % 5).fit(X[: 10 + i])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, range(36)))
        counts = {pool.submit(torch.get_num_threads).result() for _ in range(24)}
    assert counts == {N_THREADS}
    assert_restored()


def test_a_thread_born_during_a_fit_does_not_leak_its_count():
    """A thread that first uses torch while another one fits inherits its limit, and must not pass it on."""
    inside, born, over = threading.Event(), threading.Event(), threading.Event()

    def hold(net):
        inside.set()
        assert born.wait(60)

    def bystander():
        inside.wait(60)
        torch.get_num_threads()  # from now on this thread's own count is 1
        born.set()
        over.wait(60)
        ae(max_iter=1).fit(X)

    with ThreadPoolExecutor(2) as pool:
        fit = pool.submit(ae(callbacks=[Spy(hold)], max_iter=1).fit, X)
        stands_by = pool.submit(bystander)
        fit.result(60)
        over.set()
        stands_by.result(60)
    assert in_new_thread(torch.get_num_threads) == N_THREADS


@pytest.mark.parametrize("verb", ["fit", "transform"])
def test_a_wide_net_keeps_one_core_busy(verb):
    table = make_table(1000, 40)
    estimator = ae(hidden_layer_sizes=(512, 512), batch_size=500, max_iter=4)
    calls = {"fit": lambda: estimator.fit(table), "transform": lambda: [estimator.transform(table) for _ in range(4)]}
    estimator.fit(table)
    wall, cpu = time.perf_counter(), time.process_time()
    calls[verb]()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert cpu < 1.3 * wall


GRID = {"n_components": [1, 2], "learning_rate_init": [1e-3, 1e-2]}


def _search(n_jobs):
    return GridSearchCV(vae(), GRID, cv=2, n_jobs=n_jobs).fit(X)


def _scores(search):
    return search.cv_results_["mean_test_score"]


def test_a_search_in_threads_changes_nothing():
    wanted = _scores(_search(None))
    assert len(set(wanted)) == 4
    with joblib.parallel_config("threading"):
        found = _search(2)
    assert np.array_equal(_scores(found), wanted)
    assert_restored()


def test_a_search_in_processes_changes_nothing():
    def work(n_threads):  # nested, so that it travels by value: workers can't import the tests
        import threading

        import numpy as np
        import torch
        from skorch.callbacks import Callback

        import sklae

        counts = set()

        class Count(Callback):
            def __deepcopy__(self, memo):
                return self

            def on_batch_end(self, net, **kwargs):
                counts.add((torch.get_num_threads(), threading.active_count()))

        torch.set_num_threads(n_threads)
        n_before = threading.active_count()
        table = np.random.RandomState(0).normal(size=(40, 3))
        sklae.AutoencoderTransformer(max_iter=1, callbacks=[Count()]).fit(table)
        return n_before, counts, torch.get_num_threads()

    with joblib.parallel_config("loky"):
        found = _search(2)
        reports = joblib.Parallel(n_jobs=2)(joblib.delayed(work)(N_THREADS) for _ in range(2))
    joblib.externals.loky.get_reusable_executor().shutdown(wait=False)
    assert np.array_equal(_scores(found), _scores(_search(None)))
    for n_before, counts, n_after in reports:
        assert counts == {(1, n_before)}  # one torch thread, and no new one of Python's
        assert n_after == N_THREADS


@pytest.fixture
def _default_device():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def _fit_and_ask():
    """Fit each kind of estimator, and return what its verbs say."""
    table = np.where(np.arange(X.size).reshape(X.shape) % 11 == 3, np.nan, X)
    settings = {"hidden_layer_sizes": (8,), "max_iter": 1}
    plain, variational = ae(sample_from="aggregate", **settings).fit(table), vae(prior="vamp", **settings).fit(table)
    codes = variational.transform(X)
    found = [plain.sample(3, random_state=0), variational.sample(3, random_state=0)]
    found += [model.inverse_transform(codes[:, : model.n_components_]) for model in (plain, variational)]
    found += [*outputs(plain, X).values(), *outputs(variational, X).values(), *variational.encode(X)]
    found += [variational.posterior_log_prob(codes[:2], X), variational.prior_log_prob(codes)]
    found += [
        variational.posterior_kl(X),
        variational.sample_posterior(X, random_state=0),
        variational.traverse(X[:2], 0),
    ]
    found += [variational.vary(X, random_state=0), variational.interpolate(X[:1], X[1:2])]
    found += [variational.score_samples(X[:5], given=[0]), variational.score_samples(X, 4)]
    found += outputs(detector(**settings).fit(X), table).values()
    found += [AEImputer(vae(**settings), random_state=0).fit_transform(table)]
    partial = ae(**settings).partial_fit(table).partial_fit(table)
    return [*found, partial.transform(X)]


@pytest.mark.usefixtures("_default_device")
def test_the_default_device_has_no_influence():
    found = _fit_and_ask()
    torch.set_default_device(None)
    assert all(np.array_equal(a, b) for a, b in zip(found, _fit_and_ask(), strict=True))


@pytest.mark.usefixtures("_default_device")
@pytest.mark.parametrize(("draws", "sizes"), [(antithetic_draws, (64, 3)), (grouped_draws, (4, 3, 64))])
def test_nor_on_draws_that_are_kept(draws, sizes):
    """They are made once a process: made wrongly, they would stay so."""
    draws.cache_clear()
    found = draws(*sizes)
    torch.set_default_device(None)
    draws.cache_clear()
    assert torch.equal(found, draws(*sizes))


@pytest.mark.parametrize("network", ["conv", "gru", "transformer", "made", "pixel_cnn"])
def test_nor_on_networks(network):
    table = make_table(20, 4)
    torch.set_default_device("meta")
    try:
        model = vae(network=network, max_iter=1).fit(table)
        found = model.reconstruct(table), model.sample(2, random_state=0)
    finally:
        torch.set_default_device(None)
    assert np.array_equal(found[0], vae(network=network, max_iter=1).fit(table).reconstruct(table))
