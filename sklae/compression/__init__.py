"""Compression of tables and images with a learned model: within bounds of error, or without loss."""

from __future__ import annotations

from sklae.compression._compressor import Compressor

__all__ = ["Compressor"]
