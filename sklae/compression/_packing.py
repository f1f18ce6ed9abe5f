"""Bytes of any kind, packed."""

from __future__ import annotations

import lzma

__all__ = ["pack", "unpack"]

# A dictionary of a megabyte: larger ones take longer to set up than what is packed here takes.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 2**20}]


def pack(content: bytes) -> bytes:
    """Return fewer bytes, where there is anything to gain; none for none."""
    return lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS) if content else b""


def unpack(content: bytes) -> bytes:
    """Return what was packed."""
    return lzma.decompress(content, lzma.FORMAT_RAW, filters=_FILTERS) if content else b""
