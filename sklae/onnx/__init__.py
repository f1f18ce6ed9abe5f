"""Fitted estimators and pipelines around them as ONNX models, with the layout inside: for serving without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto
    from sklearn.base import BaseEstimator

    from sklae._tables.annotations import TableLike

__all__ = ["register_converters", "to_onnx"]

_LIBRARIES = ("onnx", "onnxscript", "skl2onnx")


def _require() -> None:
    absent = [name for name in _LIBRARIES if find_spec(name) is None]
    if absent:
        raise ImportError(
            f"Got no {', '.join(absent)}; sklae.onnx needs {', '.join(_LIBRARIES)}. Install them: "
            'pip install "sklae[onnx]".'
        )


def to_onnx(
    estimator: BaseEstimator,
    method: str | Sequence[str] | None = None,
    *,
    X: TableLike | None = None,
    dtype: str = "float32",
) -> ModelProto:
    """Return a fitted estimator, or a pipeline around some, as an ONNX model that takes tables as they come.

    Scaling, gaps, levels of categories, clipping and conditions are in the graph, and so are a detector's neighbours,
    distributions and known rows: ``onnxruntime`` answers without sklae or PyTorch. The guide on serving has the
    methods that each estimator has, and how rows are fed.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted. Of a Pipeline, steps of scikit-learn's are converted by ``skl2onnx``.
    method : str, list of str or None, default=None
        What to answer; several share one graph. None: "transform", of a detector "decision_function".
    X : frame or None, default=None
        Some rows, for a Pipeline that was fitted to a frame and starts with a step of scikit-learn's: their dtypes
        tell text from numbers.
    dtype : {"float32", "float64"}, default="float32"
        Of what is fed and answered, and of the network; scaling is in float64 always, and a detector throughout.

    Returns
    -------
    model : onnx.ModelProto
        Inputs: ``X``, of shape (n_samples, n_features), for arrays; for frames one of shape (n_samples, 1) a column, by
        its name, text as strings. NaN, and any text that is no level, are gaps. Outputs are called as the method;
        ``reconstruct`` of frames has one for each modelled column, "reconstruct_" and its name, and ``encode``
        "encode_mean" and "encode_std". Opset 18. Properties say the class, the method, and sklae's version.

    Raises
    ------
    ImportError
        Without the extra ``onnx``.
    TypeError
        For what is no estimator of sklae's, and no Pipeline.
    ValueError
        For methods, columns and parts that don't translate, by name.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.onnx import to_onnx
    >>> X = load_wine().data.astype(np.float32)
    >>> ae = AutoencoderTransformer(
    ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... ).fit(X)
    >>> session = onnxruntime.InferenceSession(to_onnx(ae).SerializeToString())
    >>> (codes,) = session.run(None, {"X": X[:3]})
    >>> bool(np.allclose(codes, ae.transform(X[:3]), atol=1e-5))
    True
    """
    _require()
    from sklae.onnx._convert import convert
    from sklae.onnx._pipelines import convert_pipeline

    if hasattr(estimator, "steps"):
        return convert_pipeline(estimator, method, X, dtype)
    return convert(estimator, method, dtype)


def register_converters() -> None:
    """Let `skl2onnx.to_onnx` convert pipelines in which estimators of sklae's are steps.

    A step answers what a pipeline asks of it: codes or filled tables; a detector ``predict`` and
    ``decision_function``. The option ``method`` says otherwise: ``options={id(step): {"method": "score_samples"}}``.
    Importing `sklae.onnx` calls it, where ``skl2onnx`` is installed.

    Examples
    --------
    >>> import sklae.onnx
    >>> sklae.onnx.register_converters()  # as the import has done: twice does no harm
    """
    _require()
    from sklae.onnx import _pipelines

    _pipelines.register_converters()


if all(find_spec(name) is not None for name in _LIBRARIES):
    register_converters()
