"""Is a fit in two processes faster than in one, and is it the same?

    python -m benchmarks.speed.data_parallel [small medium large] [--repeats 3] [--quick]

The peer is sklae's own fit in one process, on one thread as always. Two processes are started by ``torchrun`` on this
machine, and share every batch (`sklae.distributed.data_parallel`); the time is of ``fit`` alone, of the slower one,
after a short fit that pays for imports. The start of a process (PyTorch, scikit-learn) takes seconds more.

*ratio* is the wall time of two processes over that of one: with two free cores 0.5 would be perfect, and what is not
shared (reading and encoding the table, shuffling, the optimizer's step) and the sums over processes keep it above.
*weights* is the largest difference of any weight after three epochs, between one process and two. *rounding* is that
between one process and one that is given the rows of each batch in the reverse order: the same steps, but for the order
of sums. *of the two* is that between the two processes. Batches are of the rows as they come (``shuffle=False``), so
that these can be compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared.harness import print_table, versions
from benchmarks.speed._data_parallel_fit import CASES

#: What weights may differ by.
ROUNDING = 1e-5


def fit(name: str, n_processes: int, *options: str) -> list[Any]:
    """Return what each process of a job wrote."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "fit"
        module = ["-m", "benchmarks.speed._data_parallel_fit", name, str(out), *options]
        launcher = [] if n_processes == 1 else ["-m", "torch.distributed.run", f"--nproc-per-node={n_processes}"]
        subprocess.run(
            [sys.executable, *launcher, *module],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.DEVNULL,
        )
        found = [dict(np.load(f"{out}.{rank}.npz")) for rank in range(n_processes)]
    assert all(int(each["world_size"]) == n_processes for each in found)
    return found


def compare(name: str, repeats: int, *, quick: bool) -> list[Any]:
    """Return a row of the table: fits in turns."""
    one, two, options = [], [], ["--quick"] * quick
    for _ in range(repeats):
        one.append(fit(name, 1, *options))
        two.append(fit(name, 2, *options))
    (other,) = fit(name, 1, "--reversed", *options)
    walls = [statistics.median(max(float(each["wall"]) for each in fits) for fits in runs) for runs in (one, two)]
    (alone,), (first, second) = one[0], two[0]
    pairs = [(first, alone), (other, alone), (first, second)]
    difference, rounding, between = (float(np.abs(a["weights"] - b["weights"]).max()) for a, b in pairs)
    verdict = f"<= {ROUNDING:g}: {'yes' if difference <= ROUNDING and between == 0 else 'NO'}"
    return [name, *walls, walls[1] / walls[0], *(f"{each:.1e}" for each in (difference, rounding, between)), verdict]


def main() -> None:
    """Run the cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    print(versions())
    header = ["case", "one process s", "two processes s", "ratio", "weights", "rounding", "of the two", "goal"]
    rows = [compare(name, 1 if args.quick else args.repeats, quick=args.quick) for name in args.cases]
    print_table("wall time of fit, and the largest difference of weights", header, rows)


if __name__ == "__main__":
    main()
