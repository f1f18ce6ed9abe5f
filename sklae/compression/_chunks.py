"""Rows as bytes that were seen to come back, and back."""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from sklae._tables.exact import Parts
from sklae.compression._blob import pack_apart, unpack_apart
from sklae.compression._model import Coded, TableModel

__all__ = ["decode_chunk", "encode_chunk"]

_N_CHECK = 8


def encode_chunk(model: TableModel, parts: Parts) -> bytes:
    """Return rows as bytes, which were decoded again to see that all cells come back as promised."""
    content = _content(model.encode(parts))
    back = _decoded(model, content, len(parts))
    if not _is_kept(model, parts, back):
        raise RuntimeError("Got other cells back than went in, which is a fault of sklae's; nothing was written.")
    return _fingerprint(back) + content


def decode_chunk(model: TableModel, content: bytes, n_rows: int) -> Parts:
    """Return the rows of bytes.

    Raises
    ------
    ValueError
        If they are not the rows that were written.
    """
    try:
        back = _decoded(model, content[_N_CHECK:], n_rows)
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
        raise _other_rows() from error
    if _fingerprint(back) != content[:_N_CHECK]:
        raise _other_rows()
    return back


def _is_kept(model: TableModel, parts: Parts, back: Parts) -> bool:
    """Return whether all cells came back as promised."""
    columns = zip(parts.values, parts.missing, back.values, back.missing, strict=True)
    return all(model.cells_at(place).is_kept(*column) for place, column in enumerate(columns))


def _other_rows() -> ValueError:
    return ValueError(
        "Got a compressed table whose rows do not come out as they were written; expected the libraries that wrote it. "
        "Install the same versions of sklae, constriction and PyTorch, or use the same kind of machine."
    )


def _content(coded: Coded) -> bytes:
    return struct.pack("<I", len(coded.symbols)) + coded.symbols + pack_apart(coded.apart)


def _decoded(model: TableModel, content: bytes, n_rows: int) -> Parts:
    (n_symbols,) = struct.unpack_from("<I", content)
    apart = unpack_apart(content[4 + n_symbols :], model.n_columns + 1)
    return model.decode(Coded(content[4 : 4 + n_symbols], apart), n_rows)


def _fingerprint(parts: Parts) -> bytes:
    """Return a digest of all cells."""
    found = hashlib.blake2b(digest_size=_N_CHECK)
    for values, missing in zip(parts.values, parts.missing, strict=True):
        if values.dtype == object:
            found.update("\0".join(values.tolist()).encode("utf-8", "surrogatepass"))
        else:
            found.update(np.ascontiguousarray(values).tobytes())
        found.update(b"" if missing is None else missing.tobytes())
    return found.digest()
