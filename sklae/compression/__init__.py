"""Compression of tables and images with a learned model: within bounds of error, or without loss."""

from __future__ import annotations

from sklae.compression._compressor import Compressor
from sklae.compression._curve import RateDistortion, rate_distortion_curve

__all__ = ["Compressor", "RateDistortion", "rate_distortion_curve"]
