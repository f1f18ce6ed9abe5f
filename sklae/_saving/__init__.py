"""Fitted estimators in files of plain values: what may be in one, how objects become values, and the format."""

from __future__ import annotations

from sklae._saving.file import load, save
from sklae._saving.known import trusted_types

__all__ = ["load", "save", "trusted_types"]
