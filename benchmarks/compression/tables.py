"""How large are compressed tables, beside Parquet with zstd, gzip and a column-wise entropy coder?

    python -m benchmarks.compression.tables [--tables NAME ...] [--errors 1%% 0.0 ...] [--quick]

Eight tables, at largest errors of 10 %, 5 %, 1 % and .1 % of each column's range (of images: of all pixels'), and
without loss. Two questions:

- whole: the model is fitted to the table that it compresses, and its bytes count (``model``: how many they are).
- new rows: it is fitted to one half of the rows (blocks of 256 rows in turns) and compresses the other half; its bytes
  don't count.

Peers get the same rows after rounding to the same grid: Parquet with zstd of level 19 (pyarrow, dictionaries on), gzip
of level 9 over the CSV, and an entropy coder that knows each column's frequencies, which count. Ratios are Parquet's
bytes over sklae's: above 1, sklae's are fewer. Settings were chosen on california_housing, letter_recognition,
telco_churn and air_quality; adult, nsl_kdd, zinc and mnist confirm. Seconds are per million cells, of one direction
each; compressing includes the check that every cell comes back as promised.
"""

from __future__ import annotations

import argparse
import gzip
import io
import time
import zlib
from collections.abc import Callable
from typing import Any

import constriction
import numpy as np
import pandas as pd

from benchmarks.shared.data import folder, practical
from benchmarks.shared.harness import one_thread, versions
from sklae.compression import Compressor

CHOSEN_ON = ("california_housing", "letter_recognition", "telco_churn", "air_quality")
CONFIRMED_ON = ("adult", "nsl_kdd", "zinc", "mnist")
BOUNDS = ("10%", "5%", "1%", "0.1%", 0.0)
_BLOCK = 256


def read(name: str) -> pd.DataFrame:
    """Return a table."""
    if name == "nsl_kdd":
        return practical("nsl_kdd_train20")
    if name == "zinc":
        with np.load(folder() / "molecules" / "zinc_5k_morgan1024.npz") as data:
            return _pixels(np.unpackbits(data["packed"], axis=1))
    if name == "mnist":
        with np.load(folder() / "images" / "mnist.npz") as data:
            return _pixels(data["X_test"].reshape(10_000, -1))
    return pd.read_csv(folder() / "tables" / f"{name}.csv")


def _pixels(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])


# -- peers ----------------------------------------------------------------------------------------------------


def parquet(frame: pd.DataFrame) -> int:
    """Return the bytes of a Parquet file with zstd of level 19."""
    file = io.BytesIO()
    frame.to_parquet(file, compression="zstd", compression_level=19, index=False)
    return file.tell()


def gzipped(frame: pd.DataFrame) -> int:
    """Return the bytes of a CSV file in gzip of level 9."""
    return len(gzip.compress(frame.to_csv(index=False).encode(), 9))


def column_wise(frame: pd.DataFrame) -> int:
    """Return the bytes of columns coded under their own frequencies, with the values and frequencies."""
    total = 0
    for name in frame.columns:
        codes, values = pd.factorize(frame[name], use_na_sentinel=False)
        counts = np.bincount(codes)
        known = values.to_numpy(dtype=np.float64).tobytes() if _is_number(frame[name]) else "\0".join(map(str, values))
        total += len(zlib.compress(known if isinstance(known, bytes) else known.encode(), 9))
        total += len(zlib.compress(counts.astype(np.uint32).tobytes(), 9))
        encoder = constriction.stream.queue.RangeEncoder()
        if len(counts) > 1:
            model = constriction.stream.model.Categorical(counts.astype(np.float64), perfect=False)
            encoder.encode(codes.astype(np.int32), model)
        total += encoder.get_compressed().nbytes
    return total


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column)


# -- measuring ------------------------------------------------------------------------------------------------


def errors(frame: pd.DataFrame, bound: str, *, pooled: bool) -> dict[str, float]:
    """Return the largest error of each column of numbers: a share of its range, or of that of all, where ``pooled``."""
    numbers = [name for name in frame.columns if _is_number(frame[name]) and frame[name].dtype != bool]
    share, ranges = float(bound.rstrip("%")) / 100.0, frame[numbers].max() - frame[numbers].min()
    if pooled:
        ranges[:] = frame[numbers].max().max() - frame[numbers].min().min()
    return {name: share * float(ranges[name]) for name in numbers}


def rounded(frame: pd.DataFrame, bound: Any, *, pooled: bool) -> pd.DataFrame:
    """Return the table on a grid with errors up to the bound, in its dtypes: integers on one of integers."""
    if not bound:
        return frame
    out = {name: frame[name] for name in frame.columns}
    for name, error in errors(frame, bound, pooled=pooled).items():
        column, low = frame[name], frame[name].min()
        if pd.api.types.is_integer_dtype(column):
            half = int(error)
            cells = (column.astype(np.int64) - low) // (2 * half + 1) * (2 * half + 1) + low + half
            out[name] = np.minimum(cells, column.max()).astype(column.dtype)
        elif error > 0:
            out[name] = low + error + np.floor((column - low) / (2.0 * error)) * (2.0 * error)
    return pd.DataFrame(out)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def measure(name: str, bound: Any, *, quick: bool) -> dict[str, Any]:
    """Return the figures of one table and bound."""
    frame = read(name).head(600 if quick else None)
    shape = (28, 28) if name == "mnist" else None
    compressor = Compressor(max_error=bound, image_shape=shape, random_state=0)
    _, fitting = _timed(lambda: compressor.fit(frame))
    blob, encoding = _timed(lambda: compressor.compress(frame))
    back, decoding = _timed(lambda: Compressor().decompress(blob))
    _check(frame, back, bound, pooled=shape is not None)
    peers = rounded(frame, bound, pooled=shape is not None)
    is_new = np.arange(len(frame)) // _BLOCK % 2 == 1
    known, new = (frame[each].reset_index(drop=True) for each in (~is_new, is_new))
    other = Compressor(max_error=bound, image_shape=shape, random_state=0).fit(known)
    alone = len(other.compress(new, include_model=False))
    new_peer = parquet(peers[is_new].reset_index(drop=True))
    cells = frame.size / 1e6
    return {
        "table": name, "rows": len(frame), "error": bound or "none", "sklae": len(blob),
        "model": compressor.model_bytes_, "parquet": parquet(peers), "gzip": gzipped(peers),
        "columns": column_wise(peers), "ratio": parquet(peers) / len(blob), "new rows": alone,
        "parquet new": new_peer, "ratio new": new_peer / alone, "fit s": fitting / cells,
        "in s": encoding / cells, "out s": decoding / cells,
    }  # fmt: skip


def _check(frame: pd.DataFrame, back: pd.DataFrame, bound: Any, *, pooled: bool) -> None:
    if not bound:
        pd.testing.assert_frame_equal(frame, back, check_exact=True)
        return
    bounds = errors(frame, bound, pooled=pooled)
    for name in frame.columns:
        if name in bounds:
            error = (frame[name].astype(float) - back[name].astype(float)).abs().max()
            assert not error > bounds[name], name
        else:
            assert frame[name].equals(back[name]), name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[*CHOSEN_ON, *CONFIRMED_ON])
    parser.add_argument("--errors", nargs="+", default=[str(each) for each in BOUNDS])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(versions(("constriction", "numpy", "pandas", "pyarrow", "scikit-learn")))
    with one_thread():
        for name in options.tables:
            for bound in options.errors:
                found = measure(name, bound if bound.endswith("%") else 0.0, quick=options.quick)
                print("  ".join(f"{key} {_shown(value)}" for key, value in found.items()), flush=True)


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
