"""What is said of versions in one place holds in the others."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _python_versions():
    prefix = "Programming Language :: Python :: 3."
    return [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if each.startswith(prefix)]


def test_the_workflow_runs_what_the_classifiers_say():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", text)
    assert re.findall(r"\d+\.\d+", matrix) == _python_versions()
    assert PROJECT["requires-python"] == f">={_python_versions()[0]}"


@pytest.mark.parametrize("extra", ["", "plot", "tables", "io", "onnx", "distributed"])
def test_the_oldest_session_installs_the_lower_bounds(extra):
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    oldest = dict(re.findall(r'"([\w-]+)==([\d.]+)"', text))
    bounds = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    for requirement in bounds:
        name, bound = re.sub(r"\[.*\]", "", requirement).split(">=")
        if name not in ("tqdm",):
            assert oldest[name].startswith(bound), f"{name}: {oldest[name]}, not {bound}"


def test_types_are_handed_on():
    assert files("sklae").joinpath("py.typed").is_file()
