"""Does any table, setting or new row get a silent wrong answer, or an error that says nothing?

    python -m benchmarks.robustness.fuzz [--cases 3000] [--first 0] [--seed 0] [--only I] [--save FILE] [--quick]

A case is a table, an estimator and its fit, and then all verbs on rows like those fitted and on two kinds of hostile
ones: unseen levels, other dtypes, gaps, infinite and enormous values, other columns. Tables come from a seeded
generator of shapes (1 to 400 rows, 1 to 60 columns), containers and dtypes (NumPy, pandas, polars, pyarrow, lists),
values and gaps; estimators are all four, with settings drawn among those documented and few epochs. Case I of a seed is
the same alone (``--only I``, which shows all its findings) and among others.

Each call is classified:

- *fine*: an answer. It is finite, in the right shape, container, dtypes and levels; rows get the same alone and beside
  others; a pickled copy and a second fit say the same; predict is score below offset; parts of an explanation add up;
  filled tables keep their observed cells, fills are possible. Inputs, parameters and global generators are as before.
- *refused*: a ValueError, TypeError, AttributeError or ImportError of sklae or of scikit-learn's checks that says what
  was got or expected. The estimator is as before.
- *noisy*: one cause warned of more than three times in a call, or a RuntimeWarning from deep inside.
- *opaque*: any other error.
- *silent NaN or inf*, *silent wrong*: an answer that is not fine.
- *slow*: more than 20 processor seconds for the case.

A case is what the worst of its calls is; *refused* where the fit was. Exits with 1 if a case is opaque, silent or slow.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmarks.robustness._case import Case, run_case
from benchmarks.robustness._verdicts import KINDS
from benchmarks.shared.harness import one_thread, print_table, versions

#: What must not occur.
FAULTS = ("opaque", "silent NaN or inf", "silent wrong", "slow")


def show_kinds(cases: list[Case]) -> None:
    of_cases = Counter(case.kind for case in cases)
    of_calls = Counter(finding.kind for case in cases for finding in case.findings)
    of_type = {
        name: Counter(case.kind for case in cases if type(case.estimator).__name__ == name)
        for name in sorted({type(case.estimator).__name__ for case in cases})
    }
    rows = [
        [
            kind,
            of_cases[kind],
            *(of_type[name][kind] for name in of_type),
            of_calls[kind],
            "0" if kind in FAULTS else "",
        ]
        for kind in KINDS
    ]
    print_table(f"{len(cases):,} cases", ["kind", "cases", *of_type, "findings", "allowed"], rows)


def show_signatures(cases: list[Case], kinds: Iterable[str]) -> None:
    for kind in kinds:
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for case in cases:
            for key in {(f.verb, f.signature) for f in case.findings if f.kind == kind}:
                found[key].append(case.number)
        rows = [
            [len(numbers), numbers[0], verb, signature]
            for (verb, signature), numbers in sorted(found.items(), key=lambda item: (-len(item[1]), item[1]))
        ]
        if rows:
            print_table(f"{kind}: {len(rows)} signatures", ["cases", "such as", "verb", "signature"], rows)


def show_case(case: Case) -> None:
    print(f"case {case.number}: {case.kind}\n{case.estimator!r}")
    print(f"{case.spec.n_rows} rows, {len(case.spec.columns)} columns, {case.spec.container}, index {case.spec.index}")
    for column in case.spec.columns:
        print(f"  {column.name!r} {column.kind} {column.dtype} {list(column.values[:6])}")
    print(f"new rows: {case.hostile}")
    for finding in case.findings:
        print(f"  {finding.kind:18} {finding.verb:20} {finding.signature}\n{'':42}{finding.detail}")


def _save(case: Case, path: Path) -> None:
    entry = {
        "case": case.number,
        "kind": case.kind,
        "estimator": type(case.estimator).__name__,
        "findings": [vars(finding) for finding in case.findings if finding.kind != "fine"],
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of the one case to run and show")
    parser.add_argument("--save", type=Path, help="file to which each case adds a line of JSON")
    parser.add_argument("--quick", action="store_true", help="twenty cases: to see that everything runs")
    arguments = parser.parse_args()
    with one_thread():
        if arguments.only is not None:
            case = run_case(arguments.seed, arguments.only)
            show_case(case)
            sys.exit(case.kind in FAULTS)
        print(versions())
        start, cases = time.process_time(), []
        n_cases = 20 if arguments.quick else arguments.cases
        for number in range(arguments.first, arguments.first + n_cases):
            cases.append(run_case(arguments.seed, number))
            if arguments.save is not None:
                _save(cases[-1], arguments.save)
    show_kinds(cases)
    show_signatures(cases, [*FAULTS, "noisy", "refused"])
    print(f"\nseed {arguments.seed}, {(time.process_time() - start) / len(cases):.2f} CPU s a case")
    sys.exit(any(case.kind in FAULTS for case in cases))


if __name__ == "__main__":
    main()
