"""The house plan: imports point downwards only, and each foreign library is known to one file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sklae

PACKAGE = Path(sklae.__file__).parent

# Modules and packages (with all inside them) by floor. A new file is given one here.
FLOORS = {
    "exceptions": 0,
    "_compat": 0,
    "_component": 0,
    "_atomic": 0,
    "_frames": 0,
    "_categories": 0,
    "_cells": 0,
    "_gaussian": 0,
    "_columns": 0,
    "_grids": 0,
    "_layout": 0,
    "_draws": 0,
    "_random": 0,
    "_defaults": 0,
    "_tails": 0,
    "_conformal": 0,
    "_thresholds": 0,
    "_threads": 0,
    "networks": 1,
    "likelihoods": 2,
    "priors": 2,
    "posteriors": 2,
    "corruptions": 2,
    "penalties": 2,
    "critics": 2,
    "divergences": 2,
    "schedules": 2,
    "_module": 3,
    "_objective": 3,
    "_optimizers": 3,
    "_training": 4,
    "_checks": 4,
    "_aggregate": 4,
    "_verbs": 5,
    "_latent_verbs": 5,
    "_base": 5,
    "_autoencoder": 6,
    "_vae": 6,
    "_ensemble": 7,
    "_evidence": 7,
    "_repair": 7,
    "_detection": 7,
    "_outlier": 7,
    "_linear_start": 7,
    "_conditional": 7,
    "_blend": 7,
    "_imputer": 7,
    "compression": 7,
    "metrics": 8,
    "plotting": 8,
    "_reasons": 8,
    "_findings": 8,
    "_report": 8,
    "_demo": 8,
    "__main__": 9,
}


def _floor(module: str) -> int | None:
    """Return the floor of a module of the package, or None for a foreign one."""
    top, _, rest = module.partition(".")
    if top != "sklae":
        return None
    # the package hands out the estimators
    return FLOORS[rest.partition(".")[0]] if rest else FLOORS["_outlier"]


def _module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> list[tuple[str, str]]:
    """Return what a file imports, wherever it does so, as (module, name); name is "" for a whole module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            found += [(node.module, alias.name) for alias in node.names]
    return found


def _imported_modules(path: Path) -> set[str]:
    """Return the modules a file imports; of ``from package import name`` also ``package.name``, if it is one."""
    found = set()
    for module, name in _imports(path):
        inside = PACKAGE.joinpath(*module.split(".")[1:], name)
        is_module = name and module.startswith("sklae") and (inside.is_dir() or inside.with_suffix(".py").exists())
        found.add(f"{module}.{name}" if is_module else module)
    return found


FILES = {_module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
INSIDE = {module: path for module, path in FILES.items() if module != "sklae"}


@pytest.mark.parametrize("module", INSIDE)
def test_imports_point_downwards(module):
    own = _floor(module)
    upward = {name for name in _imported_modules(INSIDE[module]) if (_floor(name) or 0) > own}
    assert not upward, f"{module} (floor {own}) imports {sorted(upward)} from above"


def test_the_package_itself_imports_no_floor():
    assert not {name for name in _imported_modules(FILES["sklae"]) if name.startswith("sklae")}


def test_the_top_floors_use_public_names_only():
    # how tables are read is one thing, for estimators and for metrics of tables
    allowed = {"sklae._report", "sklae._findings", "sklae._reasons", "sklae._demo"}
    allowed |= {"sklae._categories", "sklae._columns", "sklae._frames"}
    for module, path in INSIDE.items():
        if _floor(module) >= 8:
            own = module.split(".")[1]
            inner = {name for name in _imported_modules(path) if name.startswith("sklae.") and "._" in name}
            assert {name for name in inner if name.split(".")[1] != own} <= allowed, module


def _users_of(*libraries: str) -> set[str]:
    return {m for m, path in FILES.items() if any(n.split(".")[0] in libraries for n in _imported_modules(path))}


def test_one_package_knows_skorch():
    assert {module.split(".")[1] for module in _users_of("skorch")} == {"_training"}


def test_one_file_knows_frames():
    readers_of_files = {"sklae.__main__"}
    assert _users_of("pandas", "polars", "pyarrow") <= readers_of_files
    assert _users_of("narwhals") == {"sklae._frames"}
    wrappers = {module for module, path in FILES.items() if ("sklae._compat", "container_adapter") in _imports(path)}
    assert wrappers == {"sklae._frames"}


def test_one_file_knows_private_names_of_scikit_learn():
    users = {
        module
        for module, path in FILES.items()
        for source, name in _imports(path)
        if source.split(".")[0] == "sklearn" and any(part.startswith("_") for part in [*source.split("."), name])
    }
    assert users == {"sklae._compat"}


def test_matplotlib_stays_on_the_top_floors():
    assert all(_floor(module) >= 8 for module in _users_of("matplotlib"))


def test_importing_the_package_loads_no_heavy_library():
    heavy = "{'torch', 'skorch', 'zuko', 'pandas', 'polars', 'matplotlib'}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, sklae; dir(sklae); print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert done.stdout.strip() == "[]"


def test_public_names_load_when_asked_for():
    assert set(sklae.__all__) <= set(dir(sklae))
    for name in sklae.__all__:
        assert getattr(sklae, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Autoencoder'"):
        sklae.Autoencoder  # noqa: B018


def test_rules_can_fail(tmp_path):
    """The reader of imports sees them at the top, inside functions and behind TYPE_CHECKING."""
    file = tmp_path / "likelihoods.py"
    file.write_text(
        "import skorch.net\ndef f():\n  from sklae import _base\nif 0:\n  from sklae._vae import VAETransformer\n"
    )
    assert _imported_modules(file) == {"skorch.net", "sklae._base", "sklae._vae"}
    names = ("sklae._base", "sklae._vae", "sklae.networks._mlp", "sklae", "skorch.net")
    assert [_floor(name) for name in names] == [5, 6, 1, 7, None]
