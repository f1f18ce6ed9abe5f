"""Who called: the user's program itself, or something that goes on when the call is over."""

from __future__ import annotations

import multiprocessing
import sys
import threading

__all__ = ["called_by_user"]

# What a call passes through on its way: its decorators, and those of the user's functions.
_WRAPPERS = {"sklearn.base", "sklearn.utils._set_output", "sklearn.utils._param_validation", "torch.utils._contextlib"}
# Packages that run the user's program, and do nothing else with it.
_RUNNERS = {
    "__main__",
    *(
        "IPython",
        "ipykernel",
        "ipykernel_launcher",
        "tornado",
        "traitlets",
        "nest_asyncio",
        "spyder_kernels",
        "ptpython",
    ),
    *(
        "_pytest",
        "pytest",
        "pluggy",
        "xdist",
        "execnet",
        "__channelexec__",
        "pytest_timeout",
        "hypothesis",
        "coverage",
        "nox",
    ),
    *("debugpy", "pydevd", "_pydevd_bundle", "_pydev_bundle", "line_profiler", "memory_profiler", "kernprof"),
    *("click", "typer", "fire", "absl", "sphinx", "sphinx_gallery"),
}
# Callers wherever they are installed.
_CALLERS = {"sklearn", "joblib", "sklae"}
_INSTALLED = ("site-packages", "dist-packages")


def called_by_user() -> bool:
    """Return whether nothing but the user's program, and what runs it, is between the caller and the interpreter.

    Not so inside a search, a cross-validation, a pipeline, another estimator, an optimiser's trial, or a worker of a
    pool: whatever called from there would go on with what it gets. Packages that are not known count as such.
    """
    if threading.current_thread() is not threading.main_thread() or multiprocessing.parent_process() is not None:
        return False
    frame = sys._getframe(1)
    own = frame.f_globals.get("__name__")
    while (above := frame.f_back) is not None:
        frame = above
        module = frame.f_globals.get("__name__") or ""
        if module == own or module in _WRAPPERS:
            continue
        package, file = module.partition(".")[0], frame.f_code.co_filename
        if package in _CALLERS or (package not in _RUNNERS and any(folder in file for folder in _INSTALLED)):
            return False
    return True
