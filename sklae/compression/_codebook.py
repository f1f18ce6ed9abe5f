"""Quantised codes of an autoencoder, and what its decoder makes of them, in integers that every machine agrees on."""

from __future__ import annotations

import copy
import io
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sklae._saving.file import load, save
from sklae.compression._coder import IntReader, IntWriter
from sklae.compression._known import Range, Series
from sklae.compression._packing import pack, unpack

__all__ = ["CodeBook", "fit_codebook"]

# Steps of a code, in units of what it varies by, that are tried, and rows that they are tried on.
_STEPS = (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125)
_N_TRIED = 2_000
# What rounding may add to the squared error, where codes are all there is.
_MOST_ADDED = 1.1
# What a decoder says this close to half-way between two integers is written: another machine might round it otherwise.
_CLOSE = 1e-6
# Bits of a weight that are kept behind its first.
_MANTISSA = 10


@dataclass(frozen=True, eq=False)
class CodeBook:
    """Codes and decoder.

    Attributes
    ----------
    autoencoder : estimator
        Fitted; one that was read from bytes can only decode.
    saved : bytes
        The same as a file.
    steps : list of float
        What codes are rounded to multiples of.
    ranges : list of Range
        Of the rounded codes.
    units, lows, highs : list of float
        Of each column: what decoded numbers are rounded to multiples of, and where they are clipped.
    """

    autoencoder: Any
    saved: bytes
    steps: list[float]
    ranges: list[Range]
    units: list[float]
    lows: list[float]
    highs: list[float]

    def codes(self, table: np.ndarray) -> list[Series]:
        """Return the rounded codes of rows, one series a component."""
        codes = np.asarray(self.autoencoder.transform(table), dtype=np.float64)
        found = []
        for i, (step, of_range) in enumerate(zip(self.steps, self.ranges, strict=True)):
            ints = np.clip(np.rint(codes[:, i] / step), of_range.low, of_range.high).astype(np.int64)
            found.append(Series(ints, np.full(len(ints), Series.PRESENT, dtype=np.uint8)))
        return found

    def decode(self, codes: list[Series], agreed: bytes | None = None) -> tuple[np.ndarray, bytes]:
        """Return decoded rows in multiples of the units, (n_rows, n_columns), and what others have to agree on.

        ``agreed`` is what the one who wrote the codes found where rounding is a close call.
        """
        values = np.stack([each.values for each in codes], axis=1) * np.array(self.steps)
        decoded = np.asarray(self.autoencoder.inverse_transform(values), dtype=np.float64)
        scaled = np.clip(decoded, self.lows, self.highs) / np.array(self.units)
        ints = np.floor(scaled + 0.5).astype(np.int64)
        if agreed is None:
            places = np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _CLOSE)
            if not len(places):
                return ints, b""
            to = IntWriter()
            to.counted("place", np.diff(places, prepend=0))
            to.ints("value", ints.ravel()[places])
            return ints, to.content()
        if agreed:
            source = IntReader(agreed)
            places = np.cumsum(source.counted("place"))
            ints.ravel()[places] = source.ints("value", len(places))
        return ints, agreed

    def content(self) -> bytes:
        """Return all of it as bytes."""
        plain = {key: value for key, value in vars(self).items() if key not in ("autoencoder", "saved")}
        text = json.dumps(plain, separators=(",", ":")).encode()
        return pack(struct.pack("<I", len(text)) + text + self.saved)

    @classmethod
    def of_content(cls, content: bytes, autoencoder: Any = None) -> CodeBook:
        """Return the code book of bytes; with the autoencoder that it is of, it can encode, too."""
        whole = unpack(content)
        (n_text,) = struct.unpack_from("<I", whole)
        plain = json.loads(whole[4 : 4 + n_text])
        plain["ranges"] = [Range(*each) for each in plain["ranges"]]
        saved = whole[4 + n_text :]
        return cls(load(io.BytesIO(saved)) if autoencoder is None else autoencoder, saved, **plain)


def fit_codebook(autoencoder: Any, table: np.ndarray, precision: np.ndarray, units: np.ndarray) -> CodeBook:
    """Return the code book of a fitted autoencoder, of which weights are rounded.

    Parameters
    ----------
    autoencoder : estimator
    table : ndarray of shape (n_rows, n_columns), float32
        As it was fitted; gaps are NaN.
    precision : ndarray of shape (n_columns,)
        Deviation of the error that is allowed in each column, in its units.
    units : ndarray of shape (n_columns,)
    """
    module = autoencoder.net_.module_
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(torch.from_numpy(_rounded(each.detach().cpu().numpy())).to(each))
    codes = np.asarray(autoencoder.transform(table), dtype=np.float64)
    deviation = np.maximum(codes.std(axis=0), 1e-6)
    rows = slice(None, None, max(1, len(table) // _N_TRIED))
    step = _best_step(autoencoder, table[rows], codes[rows], deviation, precision)
    steps = deviation * step
    ints = np.rint(codes / steps)
    room = (ints.max(axis=0) - ints.min(axis=0)) // 8 + 1
    ranges = [
        Range(int(low), int(high), int(middle), True)
        for low, high, middle in zip(
            ints.min(axis=0) - room, ints.max(axis=0) + room, np.median(ints, axis=0), strict=True
        )
    ]
    there = np.ma.masked_invalid(table)
    lows, highs = there.min(axis=0).filled(0.0), there.max(axis=0).filled(0.0)
    decoder = copy.deepcopy(autoencoder)
    with torch.no_grad():
        for each in decoder.net_.module_.encoder.parameters():
            each.zero_()
    file = io.BytesIO()
    save(decoder, file)
    return CodeBook(
        autoencoder, file.getvalue(), steps.tolist(), ranges, units.tolist(),
        lows.astype(np.float64).tolist(), highs.astype(np.float64).tolist(),
    )  # fmt: skip


def _rounded(weights: np.ndarray) -> np.ndarray:
    """Return floats of 32 bits with so many bits of mantissa, which take less room."""
    spare = 23 - _MANTISSA
    bits = weights.astype(np.float32).view(np.int32)
    return ((bits + (1 << (spare - 1))) & ~((1 << spare) - 1)).view(np.float32)


def _best_step(
    autoencoder: Any, table: np.ndarray, codes: np.ndarray, deviation: np.ndarray, precision: np.ndarray
) -> float:
    """Return the step with about the fewest bits of codes and of what is left, in units of codes' deviations."""
    found = []
    for step in _STEPS:
        rounded = np.rint(codes / (deviation * step)) * (deviation * step)
        left = table - np.asarray(autoencoder.inverse_transform(rounded))
        spread = np.ma.masked_invalid(left**2).mean(axis=0).filled(0.0)
        bits_left = (0.5 * np.log2(1.0 + spread / precision**2)).sum()
        found.append((spread.sum(), bits_left + len(deviation) * np.log2(1.0 / step + 1.0)))
    spreads, bits = np.array(found).T
    if np.isinf(
        precision
    ).all():  # nothing else is written: rounding is to add little to the error that there is anyway
        return _STEPS[int(np.argmax(spreads <= _MOST_ADDED * spreads[-1]))]
    return _STEPS[int(np.argmin(bits))]
