"""The file: arrays as safetensors keep them, and what they are parts of as JSON in its header."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from sklearn.base import BaseEstimator

from sklae._saving.decoder import Decoder
from sklae._saving.encoder import Encoder
from sklae._saving.known import Known
from sklae._utils.files import written_aside
from sklae._utils.persistent import tell_other_version, version

__all__ = ["load", "save"]

# Raised when older readers would misread what is written.
_FORMAT = 1
_KEY = "sklae"
# What the document has, and of what type; beside these the value that stands for the estimator.
_DOCUMENT = {"format": int, "sha256": str, "version": str, "needs": list, "nodes": list}
# Of as many characters; in its place when the checksum is computed.
_NO_CHECKSUM = "the SHA-256 of this file, with these words where it stands now: "
# safetensors' word -> NumPy's.
_DTYPES = {
    "BOOL": np.bool_, "F16": np.float16, "F32": np.float32, "F64": np.float64, "I8": np.int8, "I16": np.int16,
    "I32": np.int32, "I64": np.int64, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
}  # fmt: skip


def save(estimator: BaseEstimator, path: str | os.PathLike | IO[bytes], *, optimizer: bool = False) -> None:
    """Write a fitted estimator to one file that can be read without running any code from it.

    The file is a safetensors file: weights and other arrays as they are, and everything else as JSON in its header,
    with the version of sklae and a checksum over all of it. There is no pickle in it.

    Parameters
    ----------
    estimator : estimator
        One of sklae's, a part such as a likelihood, or a scikit-learn pipeline, column transformer, search and the like
        of such, and of those estimators of scikit-learn that are plain attributes (trees and forests are not).
    path : str, path or binary file
        Where to. A file that is there is replaced when the new one is whole.
    optimizer : bool, default=False
        Whether to keep what optimizers and callbacks remember, and the losses of each batch: `partial_fit` and warm
        starts then go on as if nothing had happened. Without, they go on from the weights with a fresh optimizer, and
        the file is a third as large.

    Raises
    ------
    ValueError
        For what has no place in such a file: lambdas, functions within functions, trees. It says where it is. Nothing
        is written.
    FileNotFoundError
        Where the folder is not there.
    ImportError
        Without safetensors: ``pip install "sklae[io]"``.

    See Also
    --------
    load : Reads the file.
    trusted_types : For files of skops.

    Notes
    -----
    Of modules and functions of your own the names are written, and the weights; the classes have to be there when the
    file is read, where `load` asks for them.

    Examples
    --------
    >>> import sklae, tempfile, pathlib
    >>> from sklearn.datasets import load_wine
    >>> X = load_wine().data
    >>> vae = sklae.VAETransformer(2, max_iter=5, early_stopping=False, random_state=0).fit(X)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "wine.sklae")
    >>> sklae.save(vae, path)
    >>> bool((sklae.load(path).transform(X) == vae.transform(X)).all())
    True
    """
    content = _content(estimator, keeps_optimizer=optimizer)
    if not isinstance(path, (str, os.PathLike)):
        path.write(content)
        return
    with written_aside(path) as aside:
        aside.write_bytes(content)


def load(path: str | os.PathLike | IO[bytes], *, trusted: Sequence[str | type] = ()) -> BaseEstimator:
    """Read an estimator from a file that `save` wrote.

    Parameters
    ----------
    path : str, path or binary file
        Where it is, or the open file.
    trusted : sequence of classes and functions, default=()
        Your own ones that the file names: modules, parts, schedules. Others than these, and than sklae's and the plain
        ones of scikit-learn, PyTorch, zuko and skorch, are refused.

    Returns
    -------
    estimator : estimator
        On the CPU; it says the same, bit for bit, as the one that was saved on the CPU.

    Raises
    ------
    ValueError
        For files that are none, are damaged, are of a newer format, or name what is not trusted. Nothing in them is
        run.

    Warns
    -----
    InconsistentVersionWarning
        If another version of sklae wrote the file.

    See Also
    --------
    save : Writes the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_wine
    >>> import sklae
    >>> X = load_wine().data
    >>> vae = sklae.VAETransformer(2, max_iter=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sklae.save(vae, Path(folder, "wine.sklae"))
    ...     again = sklae.load(Path(folder, "wine.sklae"))
    >>> bool((again.transform(X) == vae.transform(X)).all())
    True
    """
    named = f"file {path}" if isinstance(path, (str, os.PathLike)) else "file"
    content = Path(path).read_bytes() if isinstance(path, (str, os.PathLike)) else path.read()
    document = _read_document(content, named)
    try:
        found = Decoder(document["nodes"], _arrays(content), Known(trusted)).decode(document["root"])
        if not isinstance(found, BaseEstimator):
            raise ValueError(f"{type(found).__name__}, which is no estimator")
        return found
    except Exception as error:
        needs = ", ".join(map(str, document["needs"]))
        hint = f" It was saved with what its user made: {needs}." if needs else ""
        raise ValueError(
            f"Got a {named} that can't be read: it holds {error}; expected one that sklae.save wrote, of what is there."
            f"{hint}"
        ) from error


def _content(estimator: Any, *, keeps_optimizer: bool) -> bytes:
    try:
        from safetensors.numpy import save as to_bytes
    except ImportError as error:
        raise ImportError(
            'Got no safetensors; expected it to be installed, for its format. pip install "sklae[io]"'
        ) from error
    encoder = Encoder(keeps_optimizer=keeps_optimizer)
    root = encoder.encode(estimator)
    document = {
        "format": _FORMAT,
        "sha256": _NO_CHECKSUM,
        "version": version(),
        "class": type(estimator).__name__,
        "needs": sorted(encoder.own),
        "root": root,
        "nodes": encoder.nodes,
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    arrays = {f"{i:06d}": array for i, array in enumerate(encoder.arrays)}
    content = to_bytes(arrays, metadata={_KEY: text})
    return content.replace(_NO_CHECKSUM.encode(), _checksum(content).encode(), 1)


def _checksum(content: bytes) -> str:
    """Return the digest of a whole file that has none yet."""
    return hashlib.sha256(content).hexdigest()


def _read_document(content: bytes, named: str) -> dict[str, Any]:
    """Return what the header of a file says, if it is whole and sklae's."""
    try:
        (length,) = struct.unpack_from("<Q", content)
        document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_KEY])
        for key, kind in _DOCUMENT.items():
            if type(document[key]) is not kind:
                raise TypeError(f"{key} of type {type(document[key]).__name__}")
    except (struct.error, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"Got a {named} that is none of sklae's, or is damaged; expected one that sklae.save wrote. Pickles and "
            "skops' files are read by what wrote them."
        ) from error
    checksum = document["sha256"]
    before = content.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
    if _checksum(before) != checksum:
        raise ValueError(
            f"Got a {named} that is damaged: its checksum is not that of what is in it; expected all of it as it was "
            "written. Copy it again, or save the estimator again."
        )
    _check_version(document, named)
    return document


def _check_version(document: dict[str, Any], named: str) -> None:
    written = document["version"]
    if document["format"] > _FORMAT:
        raise ValueError(
            f"Got a {named} of format {document['format']}, which sklae {written} wrote; expected one that {version()} "
            f"reads, of format {_FORMAT} at most. Install sklae {written} or newer."
        )
    tell_other_version(named, written)


def _arrays(content: bytes) -> list[np.ndarray]:
    """Return the arrays of a file, in their order, each of its own memory."""
    from safetensors import deserialize

    found = dict(deserialize(content))
    return [np.frombuffer(found[name]["data"], dtype=_DTYPES[found[name]["dtype"]]) for name in sorted(found)]
