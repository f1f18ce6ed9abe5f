"""Does a damaged or hostile file run code, load as other numbers, or say nothing?

    python -m benchmarks.robustness.hostile_files [--files 10000] [--seed 0] [--quick]

Files are made of those of four fitted estimators by a seeded generator: bytes flipped, cut, put in, replaced; and, with
a checksum that fits, values of another kind, names that are not to be called (with a file that a call would plant),
nodes in circles, references to nowhere, vast shapes. A file is

- *refused*: by a ValueError that says what was got and expected;
- *the same*: read, and equal in each number (what was changed does not matter, as blanks in its text);
- *other*: read, as something else that was written with a checksum that fits: what a file says is up to who wrote it;
- *other numbers*: read with other numbers, though nobody made the checksum fit: must be 0;
- *opaque*: any other error, or more than 20 times the file's size in memory: must be 0;
- *run*: the planted file is there: must be 0.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import tempfile
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine

import sklae
from benchmarks.shared.harness import one_thread, print_table, versions
from sklae._saving import file as files

FAULTS = ("other numbers", "opaque", "run")
_NAMES = (
    "os:system",
    "posix:system",
    "builtins:eval",
    "builtins:exec",
    "builtins:open",
    "builtins:print",
    "subprocess:Popen",
    "subprocess:run",
    "pathlib:Path.touch",
    "numpy:load",
    "numpy:save",
    "numpy:fromfile",
    "torch:load",
    "torch:save",
    "torch.hub:load",
    "pickle:loads",
    "joblib:load",
    "importlib:import_module",
    "sklae._cli.main:main",
    "sklae._saving.file:save",
    "sklearn.datasets:fetch_openml",
    "sklearn.utils._testing:raises",
    "skorch.utils:open_file_like",
    "zuko.utils:bisection",
    "antigravity:fly",
)


def fitted_files() -> list[bytes]:
    X = load_wine(as_frame=True).data
    X["kind"] = np.where(X["hue"] > 1.0, "high", "low")
    X.iloc[::7, 2] = np.nan
    quick = {"max_iter": 2, "early_stopping": False, "random_state": 0}
    estimators = [
        sklae.AutoencoderTransformer(2, **quick),
        sklae.VAETransformer(2, **quick),
        sklae.AEImputer(random_state=0),
        sklae.AEOutlierDetector(sklae.AutoencoderTransformer(2, **quick), random_state=0),
    ]
    contents = []
    for estimator in estimators:
        file = io.BytesIO()
        sklae.save(estimator.fit(X), file)
        contents.append(file.getvalue())
    return contents


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    out, kind = bytearray(content), rng.integers(6)
    place, end = sorted(rng.integers(len(out), size=2).tolist())
    if kind == 0:
        for _ in range(rng.integers(1, 5)):
            out[rng.integers(len(out))] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del out[place:]
    elif kind == 2:
        del out[place:end]
    elif kind == 3:
        out[place:place] = rng.bytes(int(rng.integers(1, 200)))
    elif kind == 4:
        out[place:end] = rng.bytes(end - place)
    else:
        out[:8] = struct.pack("<Q", int(rng.integers(2**62)))
    return bytes(out)


def hostile(content: bytes, rng: np.random.Generator, planted: Path) -> bytes:
    return rewritten(content, lambda document: _change(document, rng, planted))


def rewritten(content: bytes, change: Callable[[dict], None]) -> bytes:
    """Return a file with another document, and the checksum of that."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["sklae"])
    change(document)
    header["__metadata__"]["sklae"] = json.dumps({**document, "sha256": files._NO_CHECKSUM})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    new = struct.pack("<Q", len(text)) + text + content[8 + length :]
    return new.replace(files._NO_CHECKSUM.encode(), files._checksum(new).encode(), 1)


def _change(document: dict, rng: np.random.Generator, planted: Path) -> None:
    nodes = document["nodes"]
    place = int(rng.integers(len(nodes)))
    values = (None, True, -1, 10**30, 1e308, "", "x" * 1000, [], {}, ["node", place], ["float", "nan"], ["bytes", "zz"])
    kind = rng.integers(7)
    if kind == 0:
        nodes[place] = values[rng.integers(len(values))]
    elif kind == 1:
        _replace_somewhere(nodes[place], values[rng.integers(len(values))], rng)
    elif kind == 2:
        name, call = _NAMES[rng.integers(len(_NAMES))], f"open({str(planted)!r}, 'w').write('run')"
        start = len(nodes)
        nodes += [["name", name], ["list", [call]], ["dict", []]]
        partial = ["partial", ["node", start], ["node", start + 1], ["node", start + 2]]
        calls = (
            ["object", name, ["node", start + 2]],
            partial,
            ["named", name, [call]],
            ["default", ["node", start], []],
        )
        nodes[place] = calls[rng.integers(len(calls))]
    elif kind == 3:
        other = int(rng.integers(len(nodes)))
        nodes[place], nodes[other] = nodes[other], nodes[place]
    elif kind == 4:
        nodes[place] = ["tuple", [["node", place]]]
    elif kind == 5:
        nodes[place] = ["array", int(rng.integers(3)), [int(rng.integers(2**40)), int(rng.integers(2**30))], "C"]
    else:
        key = str(rng.choice(list(document)))
        document[key] = values[rng.integers(len(values))]


def _replace_somewhere(node: list, value: object, rng: np.random.Generator) -> None:
    while isinstance(node, list) and node:
        i = int(rng.integers(len(node)))
        if not isinstance(node[i], list) or rng.random() < 0.3:
            node[i] = value
            return
        node = node[i]


def read(content: bytes, truth: bytes, planted: Path, *, fits: bool) -> str:
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = sklae.load(io.BytesIO(content))
    except ValueError as error:
        kind = "refused" if "Got" in str(error) and "expected" in str(error) else "opaque"
    except Exception:
        kind = "opaque"
    else:
        kind = _kind_of(loaded, truth, fits=fits)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if planted.exists():
        return "run"
    return "opaque" if most > 20 * max(len(content), 10**6) else kind


def _kind_of(loaded: object, truth: bytes, *, fits: bool) -> str:
    again = io.BytesIO()
    try:
        sklae.save(loaded, again)
    except Exception:  # something else than an estimator
        return "other" if fits else "other numbers"
    return "the same" if again.getvalue() == truth else "other" if fits else "other numbers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a hundred files: to see that everything runs")
    arguments = parser.parse_args()
    print(versions())
    counts: dict[str, Counter] = {"damaged": Counter(), "with a checksum that fits": Counter()}
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        planted, contents = Path(folder, "planted"), fitted_files()
        for number in range(100 if arguments.quick else arguments.files):
            rng = np.random.default_rng([arguments.seed, number])
            which, fits = int(rng.integers(len(contents))), bool(number % 2)
            make = hostile(contents[which], rng, planted) if fits else damaged(contents[which], rng)
            kind = read(make, contents[which], planted, fits=fits)
            counts["with a checksum that fits" if fits else "damaged"][kind] += 1
            if kind in FAULTS:
                print(f"file {number}: {kind}")
    kinds = ("refused", "the same", "other", *FAULTS)
    rows = [[name, *(found[kind] for kind in kinds)] for name, found in counts.items()]
    print_table(f"{sum(map(Counter.total, counts.values())):,} files", ["files", *kinds], rows)
    sys.exit(any(found[kind] for found in counts.values() for kind in FAULTS))


if __name__ == "__main__":
    main()
