"""Checks in fresh environments: ``nox`` runs the short ones, ``nox --list`` shows all."""

import nox

nox.options.sessions = ["lint", "tests(pinned)"]
nox.options.error_on_missing_interpreters = False

PINNED = ("-c", "constraints.txt")

# Name -> what pip is told beside ".[test]". The oldest are the lower bounds of pyproject.toml. Outside
# constraints.txt, pip on Linux may choose PyTorch's CUDA build: several gigabytes.
VERSIONS = {
    "pinned": PINNED,
    "oldest": (
        "numpy==1.26.4",
        "scipy==1.11.4",
        "scikit-learn==1.6.0",
        "torch==2.10.0",
        "skorch==1.2.0",
        "matplotlib==3.9.4",
        "pandas==2.2.3",
        "polars==1.20.0",
        "pyarrow==18.1.0",
        "narwhals==2.0.1",
        "zuko==1.4.0",
        "safetensors==0.5.0",
        "skops==0.11.0",
        "constriction==0.5.0",
        "onnx==1.19.0",
        "onnxruntime==1.22.0",
        "onnxscript==0.5.0",
        "skl2onnx==1.19.1",
        "accelerate==1.0.0",
        "dask==2025.1.0",
        "distributed==2025.1.0",
    ),
    "newest": ("--upgrade", "--upgrade-strategy=eager"),
}


@nox.session
@nox.parametrize("versions", [nox.param(versions, id=name) for name, versions in VERSIONS.items()])
def tests(session, versions):
    """Run the tests; arguments after -- go to pytest."""
    session.install(*versions, "-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def slow(session):
    """Run the slow laws: minutes each."""
    session.install(*PINNED, "-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs)


@nox.session
def coverage(session):
    """Run the tests and report which lines they reach."""
    session.install(*PINNED, "-e", ".[test]")
    session.run("python", "-m", "pytest", "--cov", *session.posargs)


@nox.session
def lint(session):
    """Run the linters and the type checker."""
    session.install(*PINNED, "-e", ".[test]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session
def docs(session):
    """Build the documentation, examples included, into docs/_build/html."""
    session.install(*PINNED, "-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def links(session):
    """Ask the network whether the addresses in the documentation answer."""
    session.install(*PINNED, "-e", ".[docs]")
    session.run("sphinx-build", "-D", "plot_gallery=0", "-b", "linkcheck", "docs", "docs/_build/links")
