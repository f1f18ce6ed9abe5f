"""Ctrl-C while training: it waits for the end of a batch, so that nothing is torn."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """Holds the first SIGINT back while it is entered; the second raises ``KeyboardInterrupt`` where it comes.

    That is in the main thread, which alone gets signals, and where Python's own handler is in force. Another handler is
    the user's, and is called at once. It is put back on leaving; an interrupt that still waits is raised then.

    Attributes
    ----------
    n_signals : int
        How many came.
    """

    n_signals = 0
    _waits = False
    _previous: Any = None

    def take(self) -> bool:
        """Return whether an interrupt waits, which then is dealt with."""
        waits, self._waits = self._waits, False
        return waits

    def check(self) -> None:
        """Raise the interrupt that waits, if one does."""
        if self.take():
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):  # not where signals are ignored, or left to other code than Python's
            self._previous = handler
            try:
                signal.signal(signal.SIGINT, self._handle)
            except ValueError:  # of another thread than the main one
                self._previous = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._previous is not None and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._previous)
        if not isinstance(error, KeyboardInterrupt):
            self.check()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.n_signals += 1
        if self._previous is not signal.default_int_handler:
            self._previous(number, frame)
        elif self.n_signals == 1:
            self._waits = True
        elif self.n_signals == 2:  # further ones don't tear what is being put back
            raise KeyboardInterrupt
