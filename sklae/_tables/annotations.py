"""What signatures name: the tables, columns and settings that many functions take or return.

Signatures hold these names, so that ``help`` says them; what they stand for is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ArrayOrFrame", "CategoricalFeatures", "ConditionLike", "FeaturesLike", "Frame", "LazyFrame", "TableLike"]

# A table: array-like of shape (n_samples, n_features), or a frame of pandas, polars or pyarrow. To type checkers a
# frame is array-like, too: it has __array__.
TableLike: TypeAlias = ArrayLike
# A frame that is computed when it is read: of polars or Dask.
LazyFrame: TypeAlias = Any
# A frame, of the library that was fitted. Which, no type checker knows, and a union would have to be narrowed at
# every use: those of results are Any to it.
Frame: TypeAlias = Any
# A table that is returned: in the container of ``set_output`` or of what was fitted.
ArrayOrFrame: TypeAlias = Any
# Columns: by name or position, one or several, a slice, or a mask.
FeaturesLike: TypeAlias = str | int | slice | Sequence[str] | Sequence[int] | Sequence[bool] | np.ndarray
# Which columns are categories: "from_dtype", or columns that are so besides.
CategoricalFeatures: TypeAlias = str | Sequence[str] | Sequence[int] | Sequence[bool] | np.ndarray
# Values of columns that are given: one row or one for each, of one column or several by name.
ConditionLike: TypeAlias = ArrayLike | Mapping[str, Any]
