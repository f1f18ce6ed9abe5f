"""Random tables: columns of every kind, values of every temper, for every container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.robustness._tables import ARRAYS, FRAMES, HELD, INDEXES, Column, Spec, pick

__all__ = ["draw_table"]

#: Kind of column -> the dtypes that hold it, by library.
DTYPES: dict[str, dict[str, tuple[str, ...]]] = {
    "number": {
        "pandas": ("float64",) * 6
        + (
            "float32",
            "Float64",
            "Float32",
            "float16",
            "double[pyarrow]",
            "object",
            "Sparse[float64]",
            "decimal object",
        ),
        "polars": ("Float64",) * 4 + ("Float32", "Decimal", "Object"),
    },
    "integer": {
        "pandas": ("int64",) * 3
        + ("int8", "uint8", "Int64", "UInt16", "int64[pyarrow]", "object", "category", "float64"),
        "polars": ("Int64",) * 3 + ("Int8", "UInt16", "UInt64", "Int128", "Float64"),
    },
    "boolean": {
        "pandas": ("bool", "boolean", "bool[pyarrow]", "object", "category"),
        "polars": ("Boolean",),
    },
    "text": {
        "pandas": ("object", "object", "str", "string", "string[pyarrow]", "category", "ordered"),
        "polars": ("String", "String", "Categorical", "Enum"),
    },
    "mixed": {"pandas": ("object",), "polars": ("Object",)},
    "odd": {
        "pandas": ("datetime64[ns]", "timedelta64[ns]", "list", "bytes", "complex128"),
        "polars": ("Date", "Duration", "List", "Binary", "Null"),
    },
}
_WORDS = ("red", "green", "blue", "", " ", "nan", "None", "naïve", "日本", "🙂", "a,b", "x" * 300, "3", "True", "0.5")


# -- values -------------------------------------------------------------------------------------------------


def _collinear(rng: np.random.Generator, latent: np.ndarray) -> np.ndarray:
    return latent[:, 0] * 3.0 + 1e-9 * rng.normal(size=len(latent))


def _rare(rng: np.random.Generator, latent: np.ndarray) -> np.ndarray:
    values = np.zeros(len(latent))
    values[int(rng.integers(len(latent)))] = 1.0
    return values


#: Temper -> function of the generator and of what rows have in common.
NUMBERS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "plain": lambda rng, z: z @ rng.normal(size=z.shape[1]) + rng.normal(size=len(z)),
    "plain, too": lambda rng, z: 7.0 + 2.0 * z[:, 0] + 0.3 * rng.normal(size=len(z)),
    "curved": lambda rng, z: np.sin(2.0 * z[:, 0]) + 0.1 * rng.normal(size=len(z)),
    "constant": lambda rng, z: np.full(len(z), 3.25),
    "heavy tails": lambda rng, z: rng.standard_cauchy(len(z)) + z[:, 0],
    "sizes": lambda rng, z: np.exp(2.0 * z[:, 0] + rng.normal(size=len(z))),
    "far away": lambda rng, z: 1e9 + rng.normal(size=len(z)),
    "very far away": lambda rng, z: 1e15 + np.round(rng.normal(size=len(z)) * 2.0),
    "bimodal": lambda rng, z: np.where(z[:, 0] > 0, 40.0, -40.0) + rng.normal(size=len(z)),
    "spikes": lambda rng, z: np.where(rng.random(len(z)) < 0.8, 0.0, z[:, 0]),
    "two values": lambda rng, z: np.where(z[:, 0] > 0, 2.0, -0.0),
    "rare": _rare,
    "collinear": _collinear,
    "tiny": lambda rng, z: 1e-30 * rng.normal(size=len(z)),
    "shares": lambda rng, z: rng.random(len(z)),
    "rounded": lambda rng, z: np.round(z[:, 0], 1),
}
EXTREME_NUMBERS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "huge": lambda rng, z: z[:, 0] * 1e30,
    "huger": lambda rng, z: z[:, 0] * 1e100,
    "hugest": lambda rng, z: z[:, 0] * 1e300,
    "single huge": lambda rng, z: np.where(np.arange(len(z)) == 0, 10.0 ** rng.integers(5, 308), z[:, 0]),
    "subnormal": lambda rng, z: 5e-324 * rng.integers(0, 9, size=len(z)),
    "hardly varies": lambda rng, z: 1.0 + 2.3e-16 * rng.integers(0, 2, size=len(z)),
    "infinite": lambda rng, z: np.where(rng.random(len(z)) < 0.2, np.inf, z[:, 0]),
}
INTEGERS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "counts": lambda rng, n: rng.poisson(3.0, size=n),
    "codes": lambda rng, n: rng.integers(0, 4, size=n),
    "many": lambda rng, n: rng.integers(0, 120, size=n),
    "constant": lambda rng, n: np.full(n, 5),
    "signs": lambda rng, n: rng.choice([-1, 1], size=n),
}
EXTREME_INTEGERS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "beyond floats": lambda rng, n: 2**53 + rng.integers(0, 9, size=n),
    "largest": lambda rng, n: 2**63 - 1 - rng.integers(0, 5, size=n),
}


def _numbers(rng: np.random.Generator, latent: np.ndarray, extreme: bool) -> list[Any]:
    return pick(rng, list((EXTREME_NUMBERS if extreme else NUMBERS).values()))(rng, latent).tolist()


def _integers(rng: np.random.Generator, latent: np.ndarray, extreme: bool) -> list[Any]:
    return pick(rng, list((EXTREME_INTEGERS if extreme else INTEGERS).values()))(rng, len(latent)).tolist()


def _booleans(rng: np.random.Generator, latent: np.ndarray, extreme: bool) -> list[Any]:
    return (latent[:, 0] > (3.0 if extreme else 0.0)).tolist()


def _text(rng: np.random.Generator, latent: np.ndarray, extreme: bool) -> list[Any]:
    if extreme and rng.random() < 0.5:  # no two alike, or very many levels
        return [f"row {i}" for i in range(len(latent))]
    n_levels = int(rng.integers(1, 8))
    words = rng.permutation(np.array(_WORDS, dtype=object))[:n_levels]
    weights = rng.dirichlet(np.full(n_levels, 0.1 if extreme else 2.0))
    return words[rng.choice(n_levels, size=len(latent), p=weights)].tolist()


def _mixed(rng: np.random.Generator, latent: np.ndarray, extreme: bool) -> list[Any]:
    return [pick(rng, ("a", 1, 2.5, True, "1", b"a" if extreme else 1.0)) for _ in latent]


def _odd(rng: np.random.Generator, latent: np.ndarray, extreme: bool) -> list[Any]:
    return rng.integers(0, 1000, size=len(latent)).tolist()


VALUES = {
    "number": _numbers,
    "integer": _integers,
    "boolean": _booleans,
    "text": _text,
    "mixed": _mixed,
    "odd": _odd,
}


# -- tables -------------------------------------------------------------------------------------------------

_THEMES = {
    "mixed": {"number": 0.45, "integer": 0.2, "boolean": 0.1, "text": 0.25},
    "numbers": {"number": 0.9, "integer": 0.1},
    "shares": {"number": 1.0},
    "counts": {"integer": 1.0},
    "odd": {"number": 0.4, "text": 0.2, "mixed": 0.2, "odd": 0.2},
}


def draw_table(rng: np.random.Generator) -> Spec:
    """Return a table and the theme that its columns follow."""
    container = pick(
        rng, ("array",) * 4 + ("pandas",) * 5 + ("polars",) * 2 + (("pyarrow",) if rng.random() < 0.3 else ())
    )
    if container == "array":
        container = pick(rng, ARRAYS[:4] * 3 + ARRAYS)
    is_array = container not in FRAMES
    theme = pick(
        rng, ["numbers", "numbers", "shares", "counts"] if is_array else ["mixed"] * 9 + ["numbers"] * 2 + ["odd"]
    )
    n_rows, n_columns = _shape(rng)
    latent = rng.normal(size=(n_rows, 2))
    kinds = rng.choice(list(_THEMES[theme]), p=list(_THEMES[theme].values()), size=n_columns)
    extreme = rng.random() < 0.2  # tables with some wild columns; others are tame enough to be fitted
    names = _names(rng, n_columns, container)
    columns = []
    for name, kind in zip(names, kinds.tolist(), strict=True):
        wild = extreme and rng.random() < 0.3
        values = rng.random(n_rows).tolist() if theme == "shares" else VALUES[kind](rng, latent, wild)
        if theme == "counts" and not wild:
            values = INTEGERS[pick(rng, ("counts", "codes"))](rng, n_rows).tolist()
        dtype = {library: pick(rng, DTYPES[kind][library]) for library in ("pandas", "polars")}
        if kind == "integer":
            values = _held(values, dtype, container)
        levels = tuple(dict.fromkeys(values)) if kind in ("text", "integer", "boolean") else ()
        columns.append(Column(name, kind, tuple(values), dtype, levels))
    spec = Spec(_with_gaps(rng, columns), container, pick(rng, ("range",) * 3 + tuple(INDEXES)))
    return spec


def _shape(rng: np.random.Generator) -> tuple[int, int]:
    n_rows = pick(rng, (1, 2, 3, 5, 8, 12, 20, 20, 30, 30, 40, 60, 60, 80, 120, 200, 400))
    n_columns = pick(rng, (1, 2, 3, 3, 4, 4, 5, 6, 8, 12, 16, 30, 60))
    return n_rows, min(n_columns, 16) if n_rows > 120 else n_columns


def _names(rng: np.random.Generator, n_columns: int, container: str) -> list[Any]:
    styles: list[Callable[[int], Any]] = [lambda i: f"c{i}"] * 12
    styles += [
        lambda i: "" if i == 0 else f"näme {i}",
        lambda i: f"x{n_columns - i}",
        lambda i: ("kl", "index", "score")[i % 3] * (1 + i // 3),
    ]
    if container == "pandas":
        styles += [
            lambda i: i,
            lambda i: ("a", f"b{i}"),
            lambda i: i if i % 2 else str(i),
            lambda i: f"c{i // 2}",
            lambda i: float(i),
        ]
    style = pick(rng, styles)
    return [style(i) for i in range(n_columns)]


def _with_gaps(rng: np.random.Generator, columns: list[Column]) -> tuple[Column, ...]:
    n_rows = len(columns[0].values)
    there = rng.random((n_rows, len(columns))) >= pick(rng, (0.0, 0.0, 0.0, 0.1, 0.1, 0.3, 0.9))
    if rng.random() < 0.07:
        there[:, int(rng.integers(len(columns)))] = False
    if rng.random() < 0.1:
        there[int(rng.integers(n_rows))] = False
    return tuple(
        column.with_values([value if kept else None for value, kept in zip(column.values, own.tolist(), strict=True)])
        for column, own in zip(columns, there.T, strict=True)
    )


def _held(values: list[Any], dtype: dict[str, str], container: str) -> list[Any]:
    low, high = HELD.get(dtype.get(container, ""), (-np.inf, np.inf))
    return [min(max(value, low), high) for value in values]
