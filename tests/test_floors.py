"""The house plan: imports point downwards only, and each foreign library is known to one file."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import sklae

PACKAGE = Path(sklae.__file__).parent

# Wings and files (with all inside them) by floor. A new wing is given one here; a new file of a wing is on its floor.
FLOORS = {
    "distributed": 0,
    "exceptions": 0,
    "_utils": 0,
    "_tables": 1,
    "_linear": 1,
    "networks": 1,
    "_codes": 1,
    **dict.fromkeys(["likelihoods", "priors", "posteriors", "divergences", "critics"], 2),
    **dict.fromkeys(["corruptions", "penalties", "schedules", "sources"], 2),
    "_model": 3,
    "_training": 4,
    "_autoencoders": 5,
    "_outliers": 6,
    "_imputation": 6,
    "_saving": 6,
    "compression": 6,
    "metrics": 7,
    "onnx": 7,
    "plotting": 7,
    "_cli": 8,
    "__main__": 9,
}


def _floor(module: str) -> int | None:
    """Return the floor of a module of the package, or None for a foreign one."""
    top, _, rest = module.partition(".")
    if top != "sklae":
        return None
    # the package hands out the estimators
    return FLOORS[rest.partition(".")[0]] if rest else FLOORS["_outliers"]


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


def test_no_file_is_reached_from_itself():
    """Imports make no circle, not even for type checkers."""
    below = {module: _imported_modules(path) & set(INSIDE) for module, path in INSIDE.items()}

    def reached(module, seen):
        for other in below[module] - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    assert not [module for module in INSIDE if module in reached(module, set())]


def test_files_and_classes_stay_readable():
    assert len([path for path in PACKAGE.iterdir() if path.suffix == ".py"]) <= 12
    long = {module for module, path in FILES.items() if len(path.read_text(encoding="utf-8").splitlines()) > 400}
    wide = {
        f"{module}.{node.name}"
        for module, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and sum(isinstance(each, ast.FunctionDef) for each in node.body) > 15
    }
    assert not long | wide


def test_the_package_itself_imports_no_floor():
    assert not {name for name in _imported_modules(FILES["sklae"]) if name.startswith("sklae")}


def test_the_top_floors_use_public_names_only():
    # how tables are read is one thing, for estimators and for metrics of tables; so is how files are written
    allowed = {"sklae._cli.main", "sklae._tables.categories", "sklae._tables.columns", "sklae._tables.frames"}
    allowed |= {"sklae._tables.annotations", "sklae._tables.validation", "sklae._utils.files"}
    for module, path in INSIDE.items():
        own = module.split(".")[1]
        # onnx translates what is inside
        if _floor(module) >= FLOORS["metrics"] and own != "onnx":
            inner = {name for name in _imported_modules(path) if name.startswith("sklae.") and "._" in name}
            assert {name for name in inner if name.split(".")[1] != own} <= allowed, module


def _users_of(*libraries: str) -> set[str]:
    return {m for m, path in FILES.items() if any(n.split(".")[0] in libraries for n in _imported_modules(path))}


def test_one_package_knows_skorch():
    assert {module.split(".")[1] for module in _users_of("skorch")} == {"_training"}


def test_four_files_know_frames():
    # of files, of what was kept, and of parts
    makers = {"sklae._cli.files", "sklae._tables.cell_keys", "sklae._tables.exact", "sklae._tables.schema"}
    makers |= {module for module in FILES if module.startswith("sklae.sources.")}
    assert _users_of("pandas", "polars", "pyarrow") <= makers
    knowing = {"exact", "frame_cells", "frames", "schema"}
    assert _users_of("narwhals") == {f"sklae._tables.{name}" for name in knowing}
    wrappers = {
        module for module, path in FILES.items() if ("sklae._utils.compat", "container_adapter") in _imports(path)
    }
    assert wrappers == {"sklae._tables.frames"}


def test_one_file_knows_private_names_of_scikit_learn():
    users = {
        module
        for module, path in FILES.items()
        for source, name in _imports(path)
        if source.split(".")[0] == "sklearn" and any(part.startswith("_") for part in [*source.split("."), name])
    }
    assert users == {"sklae._utils.compat"}


def test_one_package_knows_onnx():
    libraries = ("onnx", "onnxruntime", "onnxscript", "skl2onnx")
    assert {module.split(".")[1] for module in _users_of(*libraries)} == {"onnx"}


def test_one_file_knows_constriction():
    assert _users_of("constriction") == {"sklae.compression._coder"}


def test_matplotlib_stays_on_the_top_floors():
    assert all(_floor(module) >= FLOORS["metrics"] for module in _users_of("matplotlib"))


def test_importing_the_package_loads_no_heavy_library():
    heavy = {"numpy", "sklearn", "torch", "skorch", "zuko", "pandas", "polars", "matplotlib", "onnx", "skl2onnx"}
    heavy |= {"constriction"}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, sklae; dir(sklae); print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["sklae._vae", "sklae._training._net"])
def test_a_pickle_of_an_earlier_version_says_so(module):
    with pytest.raises(ModuleNotFoundError, match=rf"Got a pickle of sklae 0.1.0, .* {module}; expected one of sklae"):
        pickle.loads(f"c{module}\nVAETransformer\n.".encode())


def test_public_names_load_when_asked_for():
    assert set(sklae.__all__) <= set(dir(sklae))
    for name in sklae.__all__:
        assert getattr(sklae, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Autoencoder'"):
        sklae.Autoencoder  # noqa: B018


def test_public_submodules_load_when_asked_for():
    public = {module.split(".")[1] for module in INSIDE if not module.split(".")[1].startswith("_")}
    assert public <= set(dir(sklae))
    program = f"import sklae; print(all(getattr(sklae, name).__name__ == 'sklae.' + name for name in {sorted(public)}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert done.stdout.strip() == "True"


def test_rules_can_fail(tmp_path):
    """The reader of imports sees them at the top, inside functions and behind TYPE_CHECKING."""
    file = tmp_path / "likelihoods.py"
    file.write_text(
        "import skorch.net\ndef f():\n from sklae import _model\nif 0:\n from sklae._model.module import Autoencoder\n"
    )
    assert _imported_modules(file) == {"skorch.net", "sklae._model", "sklae._model.module"}
    names = ("sklae._autoencoders.base", "sklae._autoencoders.vae", "sklae.networks._mlp", "sklae", "skorch.net")
    assert [_floor(name) for name in names] == [5, 5, 1, 6, None]
