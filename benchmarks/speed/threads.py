"""Does a fit get faster with two torch threads, and does it ever get slower because of other work or more cores?

    python -m benchmarks.speed.threads [W1 W2 W3 W3V W4] [--repeats 5] [--quick]

The peer is sklae's own fit on one torch thread, in the same surroundings:

- *idle*: nothing else runs.
- *all cores but one busy*: a process that computes, for every core but one.
- *n_jobs=2, processes* and *n_jobs=2, threads*: two fits at once through joblib (loky, threading); the time is from
  the first start to the last end.

*one thread* and *two threads* override the count that sklae chooses; *as shipped* does not, and must never cost more
than one thread, up to noise. CPU seconds are per fit: where they rise with the threads and the wall time does not
fall, threads wait for each other. `/ idle` is the wall time over that of one thread when idle: at n_jobs=2 on two
free cores, 1 would be perfect.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from joblib import Parallel, delayed

from benchmarks.shared.harness import Cost, Goal, interleave_costs, median, n_cores, print_table, versions
from benchmarks.shared.workloads import WORKLOADS, Workload
from benchmarks.speed._timed_fit import Timed, timed_fit

ONE, TWO, SHIPPED = "one thread", "two threads", "as shipped"
N_THREADS: dict[str, int | None] = {ONE: 1, TWO: 2, SHIPPED: None}
IDLE, BUSY, PROCESSES, THREADS = "idle", "all cores but one busy", "n_jobs=2, processes", "n_jobs=2, threads"

#: Two measurements of the same thing may differ by this much.
NOISE = 1.05


# -- surroundings: functions that fit and return what a fit cost ----------------------------------------


def alone(workload: Workload, n_threads: int | None) -> Cost:
    fit = _checked(timed_fit(workload, n_threads), n_threads)
    return Cost(fit.stop - fit.start, fit.cpu)


def beside_busy_cores(workload: Workload, n_threads: int | None) -> Cost:
    with busy_cores(max(1, n_cores() - 1)):
        return alone(workload, n_threads)


def in_processes(workload: Workload, n_threads: int | None) -> Cost:
    fits = _two_at_once("loky", workload, n_threads)
    return Cost(_span(fits), sum(fit.cpu for fit in fits) / len(fits))


def in_threads(workload: Workload, n_threads: int | None) -> Cost:
    cpu = time.process_time()  # which counts both
    fits = _two_at_once("threading", workload, n_threads)
    return Cost(_span(fits), (time.process_time() - cpu) / len(fits))


SURROUNDINGS: dict[str, Callable[[Workload, int | None], Cost]] = {
    IDLE: alone,
    BUSY: beside_busy_cores,
    PROCESSES: in_processes,
    THREADS: in_threads,
}


def _two_at_once(backend: str, workload: Workload, n_threads: int | None) -> list[Timed]:
    fits = Parallel(n_jobs=2, backend=backend)(delayed(timed_fit)(workload, n_threads) for _ in range(2))
    return [_checked(fit, n_threads) for fit in fits]


def _checked(fit: Timed, n_threads: int | None) -> Timed:
    assert n_threads in (None, fit.n_threads), f"{n_threads} threads asked for, {fit.n_threads} used"
    return fit


def _span(fits: list[Timed]) -> float:
    return max(fit.stop for fit in fits) - min(fit.start for fit in fits)


@contextmanager
def busy_cores(n: int) -> Iterator[None]:
    """Keep n processes computing."""
    with ExitStack() as stack:
        for _ in range(n):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]))
            stack.callback(process.kill)
        time.sleep(0.2)  # they have started
        yield


# -- the run --------------------------------------------------------------------------------------------


def run(workload: Workload, repeats: int, *, quick: bool) -> None:
    contenders = {
        (place, count): partial(surround, workload, n_threads)
        for place, surround in SURROUNDINGS.items()
        for count, n_threads in N_THREADS.items()
    }
    for function in contenders.values():
        function()  # warms up, the workers too
    costs = {key: median(found) for key, found in interleave_costs(contenders, repeats).items()}
    rows = [_row(key, costs, judged=not quick) for key in costs]
    operations = f"{workload.flops_per_step / 1e6:,.1f} million operations"
    title = (
        f"{workload.name}: {workload.n_steps:,} steps of {workload.batch_size} rows and {operations}; "
        f"torch threads as shipped, idle: {timed_fit(workload, None).n_threads}"
    )
    header = ["surroundings", "torch threads", "wall s", "CPU s a fit", "/ idle", "CPU / one", "/ one", "goal"]
    print_table(title, header, rows)


def _row(key: tuple[str, str], costs: Mapping[tuple[str, str], Cost], *, judged: bool) -> list[Any]:
    place, count = key
    cost, one, idle = costs[key], costs[place, ONE], costs[IDLE, ONE]
    ratio = cost.wall / one.wall
    goal = Goal(ONE, at_most=NOISE).verdict(ratio, judged=judged) if count == SHIPPED else ""
    return [place, count, cost.wall, cost.cpu, cost.wall / idle.wall, cost.cpu / one.cpu, ratio, goal]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    print(versions())
    print(f"medians of {arguments.repeats} interleaved repeats; torch's own setting: {torch.get_num_threads()} threads")
    for name in arguments.workloads or WORKLOADS:
        workload = WORKLOADS[name].quick() if arguments.quick else WORKLOADS[name]
        run(workload, arguments.repeats, quick=arguments.quick)


if __name__ == "__main__":
    main()
