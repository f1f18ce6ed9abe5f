"""What a fit consists of, as scikit-learn's callbacks see it (``set_callbacks``, since scikit-learn 1.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Self

from sklae._utils.compat import CallbackSupport, callback_lifetime
from sklae._utils.processes import tells

__all__ = ["TakesCallbacks", "Task", "current_task", "fit_task", "part"]

# Where scikit-learn keeps an estimator's callbacks, and those that are handed down to it; absent if there are none.
_CALLBACKS = "_skl_callbacks"

# Of a thread: searches fit in several.
_current: ContextVar[Task | None] = ContextVar("task", default=None)


class TakesCallbacks(CallbackSupport):
    """Estimators that take scikit-learn's callbacks, where its version has them.

    They are what ``set_callbacks`` sets, and have nothing to do with a parameter ``callbacks``, which takes skorch's.
    """

    if hasattr(CallbackSupport, "set_callbacks"):

        def set_callbacks(self, *callbacks: object) -> Self:
            """Set callbacks of scikit-learn, as `sklearn.callback.ProgressBar`.

            Parameters
            ----------
            *callbacks : callbacks of scikit-learn
                In place of those set before. None given: no callbacks.

            Returns
            -------
            self : object
                The estimator itself.

            Raises
            ------
            TypeError
                For other callbacks. Those of skorch go into the parameter ``callbacks`` of an autoencoder.
            """
            try:
                return super().set_callbacks(*callbacks)
            except TypeError as error:
                raise TypeError(
                    f"Got {callbacks!r}; expected instances of scikit-learn's callbacks, such as ProgressBar(). "
                    "skorch's are a parameter of autoencoders, callbacks=[...]."
                ) from error


class Task:
    """A fit, or a part of one.

    Parameters
    ----------
    estimator : estimator
    context : sklearn.callback.CallbackContext
    given : dict
        ``X``, ``y`` and ``metadata``, for the callbacks.
    """

    def __init__(self, estimator: Any, context: Any, given: dict[str, Any]):
        self.estimator = estimator
        self._context, self._given = context, given

    @property
    def is_heard(self) -> bool:
        """Whether there is a callback to tell of small parts."""
        return hasattr(self.estimator, _CALLBACKS)

    def begin(self) -> None:
        """Say that it begins."""
        self._context.call_on_fit_task_begin(estimator=self.estimator, **self._given)

    def end(self, fitted: Callable[[], dict[str, Any] | None] | None = None) -> bool:
        """Say that it ends; return whether a callback wants no further one of its kind.

        ``fitted`` returns the attributes that make the estimator one that is fitted, as far as it has come.
        """
        return self._context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted, **self._given
        )

    def part(self, name: str, n_parts: int | None = 0) -> Task:
        """Return the next of its parts, with so many parts in turn; None: not known."""
        return Task(self.estimator, self._context.subcontext(task_name=name, max_subtasks=n_parts), self._given)

    @contextmanager
    def going_on(self, of: Any = None) -> Iterator[None]:
        """Begin and end it around what is done, in which `part` means a part of it.

        Parameters
        ----------
        of : estimator or None, default=None
            Whose fit it is: it is told of to the same callbacks.
        """
        with nullcontext() if of is None else self._context.propagate_callback_context(of):
            self.begin()
            with _going_on(self):
                yield
            self.end()


def current_task() -> Task | None:
    """Return what is going on; None outside of a fit, and where nobody is told of it."""
    return _current.get()


@contextmanager
def fit_task(
    estimator: Any, n_parts: int | None, X: Any = None, y: Any = None, sample_weight: Any = None
) -> Iterator[None]:
    """Tell an estimator's callbacks of its fit, of at most so many parts.

    Of processes that fit together the first one tells. Where there are no callbacks, nobody counts parts.
    """
    if callback_lifetime is None or not hasattr(estimator, _CALLBACKS) or not tells():
        with _going_on(None):  # what it consists of is no part of a fit around it
            yield
        return
    given = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
    with callback_lifetime(estimator):
        task = Task(estimator, estimator._init_callback_context(max_subtasks=n_parts), given)
        task.begin()
        with _going_on(task):
            yield
        task.end(dict)  # it has all it needs


@contextmanager
def _going_on(task: Task | None) -> Iterator[None]:
    token = _current.set(task)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def part(name: str, n_parts: int | None = 0, *, of: Any = None) -> Iterator[None]:
    """Tell of a part of what is going on, with so many parts in turn; see `Task.going_on`."""
    task = current_task()
    with nullcontext() if task is None else task.part(name, n_parts).going_on(of):
        yield
