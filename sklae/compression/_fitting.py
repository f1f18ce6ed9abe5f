"""Models of tables, learned: for each column what takes the fewest bits, the model counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from sklae._tables.exact import Parts
from sklae._utils.random import draw_seed
from sklae.compression._cells import KeyCells, NumberCells, fit_cells
from sklae.compression._codebook import CodeBook, fit_codebook
from sklae.compression._columns import ColumnModel, fit_column
from sklae.compression._images import Raster
from sklae.compression._known import Feature, Known, Range, Series
from sklae.compression._model import Cells, TableModel, as_numbers, is_centered, is_modelled
from sklae.compression._numbers import Grid
from sklae.compression._prediction import Prediction, fit_prediction
from sklae.compression._screening import Screen

__all__ = ["Fitted", "fit_table"]

# Rows that predictions are fitted to, features that a tree chooses from, and candidates for a sum's terms.
_MOST_ROWS, _N_FEATURES, _N_TERMS = 20_000, 12, 16
# Correlation of a column with its last value from which on differences are tried.
_IN_ORDER = 0.3
# Pixels that the model of images is fitted to, those its tree is grown on, and its leaves.
_MOST_PIXELS, _MOST_GROWN, _MOST_LEAVES = 2_000_000, 300_000, 2_048
# Parts of a step, or of a deviation, that decoded numbers are rounded to.
_FINE = 16.0


class Fitted(NamedTuple):
    """What was learned.

    Attributes
    ----------
    model : TableModel
    autoencoder : estimator or None
    book : CodeBook or None
        Of the autoencoder, whether the model has it or not.
    """

    model: TableModel
    autoencoder: Any = None
    book: CodeBook | None = None


def fit_table(
    parts: Parts, bounds: list[float], raster: Raster | None, autoencoder: Any, rng: np.random.RandomState
) -> Fitted:
    """Return the model of a table.

    Parameters
    ----------
    parts : Parts
    bounds : list of float
        Largest errors of the columns.
    raster : Raster or None
        Of images.
    autoencoder : estimator or None
        A clone is fitted. Where no error is allowed, its codes are part of the model only if that takes fewer bits.
    rng : RandomState
    """
    cells = _fit_cells(parts, bounds, raster)
    plain = TableModel(parts.schema, cells, [], raster, None, [], False)
    if autoencoder is None:
        return Fitted(_fit_columns(plain, parts, rng))
    is_lossy = any(is_centered(each) for each in cells)
    coded = _fit_columns(_with_codes(plain, parts, autoencoder, rng, centered=is_lossy), parts, rng)
    assert coded.book is not None
    found = coded
    if not is_lossy:
        plain = _fit_columns(plain, parts, rng)
        found = min(plain, coded, key=lambda each: each.bits(parts) + 8.0 * len(each.content()))
    return Fitted(found, coded.book.autoencoder, coded.book)


def _fit_cells(parts: Parts, bounds: list[float], raster: Raster | None) -> list[Cells]:
    kinds = [column["kind"] for column in parts.schema["columns"]]
    if raster is None:
        every = zip(kinds, parts.values, parts.missing, bounds, strict=True)
        return [fit_cells(kind, values, missing, bound) for kind, values, missing, bound in every]
    missing = [each for each in parts.missing if each is not None]
    if missing or len(set(kinds)) > 1 or kinds[0] == "cells":
        raise ValueError("Got images with gaps, or of columns of several kinds; expected numbers of one dtype.")
    return [fit_cells(kinds[0], np.concatenate(parts.values), None, max(bounds))]


# -- codes ----------------------------------------------------------------------------------------------------


def _with_codes(
    model: TableModel, parts: Parts, autoencoder: Any, rng: np.random.RandomState, *, centered: bool
) -> TableModel:
    """Return the model with a code book and the prior of its codes."""
    every = [model.cells_at(i) for i in range(model.n_columns)]
    table = as_numbers(model, parts)
    levels = [i for i, each in enumerate(every) if not each.range.is_number and is_modelled(each)]
    fitted = clone(autoencoder)
    if levels:
        fitted.set_params(categorical_features=levels)
    if fitted.random_state is None:
        fitted.set_params(random_state=draw_seed(rng))
    fitted.fit(table)
    deviation = np.ma.masked_invalid(table).std(axis=0).filled(0.0)
    bounds = np.array([each.bound if isinstance(each, NumberCells) else 0.0 for each in every])
    precision = np.where(bounds > 0.0, bounds / np.sqrt(3.0), np.maximum(deviation / 64.0, 1e-6))
    units = np.where((bounds > 0.0) & np.isfinite(bounds), 2.0 * bounds, deviation) / _FINE
    units = np.where(units > 0.0, units, 1.0)
    whole = np.array([is_centered(each) and parts.values[i].dtype.kind in "iu" for i, each in enumerate(every)])
    units = np.where(whole, 1.0, units)
    book = fit_codebook(fitted, table, precision, units)
    if centered:
        model = replace(model, cells=_centered(model, parts, book, table))
    known, components = Known(len(parts)), []
    rows = _some_rows(len(parts), rng)
    screen = Screen(rows)
    for place, series in enumerate(book.codes(table), model.n_columns):
        of_range = book.ranges[place - model.n_columns]
        components.append(_fit_one(series, known, of_range, screen, [], rows, rng))
        known.add(place, series, of_range.typical, of_range.low)
        screen.add(Feature(place, False), known, is_number=True)
    return replace(model, book=book, components=components, centered=centered)


def _centered(model: TableModel, parts: Parts, book: CodeBook, table: np.ndarray) -> list[Cells]:
    """Return cells whose numbers are coded from what the decoder says."""
    ints, _ = book.decode(book.codes(table))
    found: list[Cells] = []
    for i, cells in enumerate(model.cells):
        if isinstance(cells, KeyCells) or not is_centered(cells):
            found.append(cells)
            continue
        places = range(model.n_columns) if model.raster else [i]
        values = [parts.values[j].astype(np.float64) for j in places]
        left = np.concatenate([each - ints[:, j] * book.units[j] for j, each in zip(places, values, strict=True)])
        spread = float(np.nanmax(np.where(np.isfinite(left), np.abs(left), 0.0)))
        is_whole = parts.values[i].dtype.kind in "iu"
        if not np.isfinite(cells.bound):
            step = 4.0 * spread + 1.0
        elif is_whole:
            step = 2.0 * np.floor(cells.bound) + 1.0
        else:
            largest = max(float(np.nanmax(np.where(np.isfinite(each), np.abs(each), 0.0))) for each in values)
            step = 2.0 * cells.bound * (1.0 - 1e-7) - 8.0 * float(np.finfo(parts.values[i].dtype).eps) * largest
        reach = int(1.5 * spread / step) + 2
        found.append(replace(cells, form=Grid(0.0, step), range=Range(-reach, reach, 0, True)))
    return found


# -- columns --------------------------------------------------------------------------------------------------


def _some_rows(n_rows: int, rng: np.random.RandomState) -> np.ndarray:
    return np.arange(n_rows) if n_rows <= _MOST_ROWS else np.sort(rng.choice(n_rows, _MOST_ROWS, replace=False))


def _fit_columns(model: TableModel, parts: Parts, rng: np.random.RandomState) -> TableModel:
    """Return the model with those of its columns."""
    if model.raster is not None:
        return replace(model, columns=[_fit_pixels(model, model.raster, parts, rng)])
    known, rows = Known(len(parts)), _some_rows(len(parts), rng)
    screen = Screen(rows)
    first = model.n_columns + len(model.components)
    decoded = model.known_codes(parts, known)
    for place in range(model.n_columns, first):
        screen.add(Feature(place, False), known, is_number=True)
    columns = []
    for place, series in model.series(parts, known, decoded):
        of_range = model.cells[place].range
        own = [] if decoded is None else [Feature(first + place, False)]
        columns.append(_fit_one(series, known, of_range, screen, own, rows, rng))
        known.add(place, series, of_range.typical, of_range.low)  # which `series` does, but later
        screen.add(Feature(place, False), known, is_number=of_range.is_number)
        if of_range.is_number and _is_in_order(series):
            screen.add(Feature(place, True), known, is_number=True)
    return replace(model, columns=columns)


def _fit_one(
    series: Series,
    known: Known,
    of_range: Range,
    screen: Screen,
    own: list[Feature],
    rows: np.ndarray,
    rng: np.random.RandomState,
) -> ColumnModel:
    """Return the best model of one column; ``own`` are features that are about it."""
    predictions = [Prediction()]
    in_order = of_range.is_number and _is_in_order(series)
    filled = np.where(series.is_present, series.values, of_range.typical)
    if of_range.is_number:
        terms = own + screen.correlated(filled, _N_TERMS, steps=False)
        fitted = fit_prediction(series, known, terms, rows, from_last=False, typical=of_range.typical)
        predictions += [fitted] if fitted else []
    if in_order:
        predictions.append(Prediction(from_last=True))
        terms = screen.correlated(np.diff(filled, prepend=filled[:1]), _N_TERMS, steps=True)
        fitted = fit_prediction(series, known, terms, rows, from_last=True, typical=of_range.typical)
        predictions += [fitted] if fitted else []
    marked = np.where(series.is_present, series.values, of_range.low - 1)
    features = own + screen.telling(marked, _N_FEATURES, steps=in_order)
    return fit_column(series, known, of_range, features, predictions, rng)


def _is_in_order(series: Series) -> bool:
    """Return whether rows are like those before them."""
    values = series.values[series.is_present].astype(np.float64)
    if len(values) < 64:
        return False
    deviation = values.std()
    if deviation == 0.0:
        return False
    values = (values - values.mean()) / deviation
    return float((values[1:] * values[:-1]).mean()) > _IN_ORDER


def _fit_pixels(model: TableModel, raster: Raster, parts: Parts, rng: np.random.RandomState) -> ColumnModel:
    """Return the one model of all pixels."""
    n_images = int(np.clip(_MOST_PIXELS // model.n_columns, 1, len(parts)))
    images = np.sort(rng.choice(len(parts), n_images, replace=False))
    few = parts.rows(images)
    known = Known(n_images)
    decoded = model.known_codes(few, known)
    every = list(model.series(few, known, decoded))
    of_range = model.cells[0].range
    features = raster.features()
    stacked = Known(n_images * model.n_columns)
    status = np.full(stacked.n_rows, Series.PRESENT, dtype=np.uint8)
    views = [model.around(place, known) for place, _ in every]
    for feature in features:
        values = np.concatenate([view.feature(feature) for view in views])
        stacked.add(feature.place, Series(values, status), 0, 0)
    pixels = Series(
        np.concatenate([series.values for _, series in every]), np.concatenate([series.status for _, series in every])
    )
    rows = rng.choice(stacked.n_rows, min(stacked.n_rows, 10 * _MOST_ROWS), replace=False)
    fitted = fit_prediction(pixels, stacked, features, rows, from_last=False, typical=of_range.typical)
    predictions = [Prediction(), *([fitted] if fitted else [])]
    return fit_column(
        pixels, stacked, of_range, features, predictions, rng, most_leaves=_MOST_LEAVES, most_rows=_MOST_GROWN
    )
