"""The format of compressed tables: a header, a model or its name, chunks that can be read alone, and checksums."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklae.compression._packing import pack, unpack

__all__ = ["Blob", "digest", "pack_apart", "unpack_apart"]

# The first byte is no text, and the line ends tell what was copied as text.
_MAGIC = b"\x89SKLAE-C\r\n"
# Raised when older readers would misread what is written.
_FORMAT = 1
_N_CHECK = 8
_HEADER = {"format": int, "version": str, "model": str, "model_bytes": int, "rows": list, "bytes": list, "checks": str}


def digest(content: bytes, n_bytes: int = 16) -> str:
    """Return a digest as text: of a model, the name that blobs know it by."""
    return hashlib.blake2b(content, digest_size=n_bytes).hexdigest()


@dataclass(frozen=True, eq=False)
class Blob:
    """A compressed table.

    Attributes
    ----------
    version : str
        Of sklae.
    model_name : str
    model : bytes
        Empty where the blob has a model's name alone.
    n_rows : list of int
        Of each chunk.
    chunks : list of bytes
    """

    version: str
    model_name: str
    model: bytes
    n_rows: list[int]
    chunks: list[bytes]

    def content(self) -> bytes:
        """Return the blob as bytes."""
        header = {
            "format": _FORMAT,
            "version": self.version,
            "model": self.model_name,
            "model_bytes": len(self.model),
            "rows": _runs(self.n_rows),
            "bytes": [len(chunk) for chunk in self.chunks],
            "checks": "".join(digest(chunk, _N_CHECK) for chunk in self.chunks),
        }
        text = zlib.compress(json.dumps(header, separators=(",", ":")).encode(), 9)
        head = _MAGIC + struct.pack("<I", len(text)) + text
        head += bytes.fromhex(digest(head + self.model, _N_CHECK))
        body = head + self.model + b"".join(self.chunks)
        return body + bytes.fromhex(digest(body, _N_CHECK))

    @classmethod
    def of_content(cls, content: Any, *, whole: bool = True) -> Blob:
        """Return the blob of bytes; chunks are checked when they are asked for, and first of all if ``whole``.

        Raises
        ------
        TypeError, ValueError
            For what is no blob, or a damaged one.
        """
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(f"Got a {type(content).__name__}; expected the bytes that compress returned.")
        content = bytes(content)
        if not content.startswith(_MAGIC):
            raise ValueError(
                "Got bytes that are no table compressed by sklae, or damaged ones; expected what compress returned. "
                "Open files in binary mode."
            )
        if whole and bytes.fromhex(digest(content[:-_N_CHECK], _N_CHECK)) != content[-_N_CHECK:]:
            raise _damage("the checksum of all of it is another")
        start = len(_MAGIC) + 4
        try:
            (n_text,) = struct.unpack_from("<I", content, len(_MAGIC))
            header = json.loads(zlib.decompress(content[start : start + n_text]))
            if any(type(header[key]) is not kind for key, kind in _HEADER.items()):
                raise ValueError
        except (struct.error, ValueError, KeyError, TypeError, zlib.error) as error:
            raise _damage("its header can't be read") from error
        if header["format"] > _FORMAT:
            raise ValueError(
                f"Got a table compressed by sklae {header['version']}, in format {header['format']}; expected one of "
                f"format {_FORMAT} at most. Install sklae {header['version']} or newer."
            )
        head = content[: start + n_text]
        place = len(head) + _N_CHECK
        model = content[place : place + header["model_bytes"]]
        if bytes.fromhex(digest(head + model, _N_CHECK)) != content[len(head) : place]:
            raise _damage("the checksum of its header and model is another")
        place += len(model)
        chunks = []
        for n_bytes in header["bytes"]:
            chunks.append(content[place : place + n_bytes])
            place += n_bytes
        blob = cls(header["version"], header["model"], model, _unrun(header["rows"]), chunks)
        object.__setattr__(blob, "_checks", header["checks"])
        return blob

    def chunk(self, number: int) -> bytes:
        """Return a chunk that is whole.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        checks: str = getattr(self, "_checks")  # noqa: B009 - of blobs that were read
        own = checks[2 * _N_CHECK * number : 2 * _N_CHECK * (number + 1)]
        if digest(self.chunks[number], _N_CHECK) != own:
            raise _damage(f"the checksum of chunk {number} is another")
        return self.chunks[number]


def _damage(what: str) -> ValueError:
    return ValueError(
        f"Got a compressed table that is damaged or cut short: {what}; expected all of the bytes that compress "
        "returned. Copy them again."
    )


def _runs(values: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return found


def _unrun(runs: list[list[int]]) -> list[int]:
    return [value for value, count in runs for _ in range(count)]


def pack_apart(apart: Sequence[bytes]) -> bytes:
    """Return what columns keep apart as bytes, none where there is nothing."""
    if not any(apart):
        return b""
    sizes = struct.pack(f"<{len(apart)}I", *map(len, apart))
    return pack(sizes + b"".join(apart))


def unpack_apart(content: bytes, n_columns: int) -> list[bytes]:
    """Return what columns kept apart."""
    if not content:
        return [b""] * n_columns
    plain = unpack(content)
    sizes = struct.unpack_from(f"<{n_columns}I", plain)
    place, found = 4 * n_columns, []
    for size in sizes:
        found.append(plain[place : place + size])
        place += size
    return found
