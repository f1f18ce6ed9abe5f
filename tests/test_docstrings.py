"""Every public object has a docstring that numpydoc's validation passes, and a signature whose types say something.

The objects: what each public module hands out, and of classes every public method and property that is sklae's own.
There are no exceptions by name. What is left out, for all alike:

- ES01, an extended summary: a line that says it all needs no more.
- SA01, "See Also": the pages of families list what is beside an object.
- RT02, a bare type in Returns: scikit-learn names what is returned, too, and so does sklae.
- EX01, examples, of methods and properties (those of their class are theirs, as in scikit-learn), and of what nobody
  constructs by hand: modules that parts build, records that they and metrics return, errors. Functions, estimators,
  parts and Displays have some.
- PR01, RT01 and YD01, sections of parameters and results, of methods in prose: what parts and their modules answer
  to each other is said in a sentence, and its types stand in the signature, in full. A method that has one of the
  sections has them all.
"""

import importlib
import inspect
import re
from functools import cached_property

import pytest
from sklearn.base import BaseEstimator

import sklae

pytest.importorskip("numpydoc")

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate

MODULES = ["sklae", *(f"sklae.{name}" for name in sklae._SUBMODULES)]
NEVER_ASKED = {"ES01", "RT02", "SA01"}
SECTIONS = {"PR01", "RT01", "YD01"}
# Any where there is nothing more to say: settings that are handed on.
HANDED_ON = re.compile(r"^dict\[str, Any\]( \| None)?$")


def is_described(attribute):
    """Return whether an attribute of a class has a docstring of its own: a method, or a property of some sort."""
    return callable(attribute) or isinstance(attribute, (property, cached_property))


def public_objects():
    """Return the public objects by where they are defined: (path by which they are found, object), each once."""
    found = {}
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found.setdefault((thing.__module__, thing.__qualname__), f"{module}.{name}")
            for member in [] if not inspect.isclass(thing) else [each for each in dir(thing) if each[0] != "_"]:
                owner = next(base for base in thing.__mro__ if member in vars(base))
                if owner.__module__.startswith("sklae") and is_described(_static(owner, member)):
                    found.setdefault((owner.__module__, f"{owner.__qualname__}.{member}"), f"{module}.{name}.{member}")
    return sorted(found.values())


def _static(owner, name):
    attribute = vars(owner)[name]
    # scikit-learn's available_if hands out a method only where there is one; class methods are functions, too
    return getattr(attribute, "fn", getattr(attribute, "__func__", attribute))


def load(path):
    parent, _, name = path.rpartition(".")
    if parent in MODULES:
        return getattr(importlib.import_module(parent), name)
    owner = load(parent)
    return _static(next(base for base in owner.__mro__ if name in vars(base)), name)


class Checked(Validator):
    """Takes the text that a method inherits for its own, and the fields of a record for its parameters."""

    def __init__(self, obj_name):
        thing = load(obj_name)
        text = inspect.getdoc(thing) or _inherited(obj_name)
        super().__init__(get_doc_object(thing, doc=text))
        self.raw_doc = thing.__doc__ or (text + "\n" if "\n" in text else text)

    @property
    def doc_all_parameters(self):
        fields = getattr(self.obj, "_fields", ()) or getattr(self.obj, "__dataclass_fields__", ())
        documented = {name: (kind, text) for names, kind, text in self.doc["Attributes"] for name in names.split(", ")}
        return {**super().doc_all_parameters, **{name: documented[name] for name in fields if name in documented}}


def _inherited(path):
    parent, _, name = path.rpartition(".")
    if parent in MODULES:
        return ""
    texts = [inspect.getdoc(_static(base, name)) for base in load(parent).__mro__ if name in vars(base)]
    return next((text for text in texts if text), "")


def is_in_prose(path):
    text = inspect.getdoc(load(path)) or _inherited(path)
    return path.rpartition(".")[0] not in MODULES and not re.search(r"^(Parameters|Returns|Yields)\n-+$", text, re.M)


def has_examples(path):
    """Return whether examples are asked of an object: of functions, and of what users construct."""
    thing = load(path)
    is_function = path.rpartition(".")[0] in MODULES and inspect.isfunction(thing)
    is_constructed = inspect.isclass(thing) and (issubclass(thing, BaseEstimator) or thing.__name__.endswith("Display"))
    return is_function or is_constructed


def annotations(path):
    """Yield the annotations of a signature: (what of, text)."""
    thing = load(path)
    if isinstance(thing, (property, cached_property)):
        thing = thing.fget if isinstance(thing, property) else thing.func
    if inspect.isclass(thing):
        thing = thing.__init__ if inspect.isfunction(thing.__init__) else thing.__new__
    if not inspect.isfunction(thing):
        return
    for parameter in list(inspect.signature(thing).parameters.values()):
        if parameter.name not in ("self", "cls", "_cls") and parameter.kind is not parameter.VAR_KEYWORD:
            yield parameter.name, parameter.annotation
    if thing.__name__ not in ("__init__", "__new__"):
        yield "return", inspect.signature(thing).return_annotation


OBJECTS = public_objects()


def test_objects_of_every_kind_are_found():
    assert {
        "sklae.AEOutlierDetector.fit",
        "sklae.AEOutlierDetector.explain",
        "sklae.AEImputer.account_",
        "sklae.load",
        "sklae.plotting.LossCurveDisplay.from_estimator",
        "sklae.likelihoods.Poisson",
        "sklae.metrics.Diagnosis.findings",
    } <= set(OBJECTS)
    assert len(OBJECTS) > 400


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_are_valid(module):
    wrong = []
    for path in [
        path for path in OBJECTS if path.startswith(f"{module}.") and (module != "sklae" or path[6].isupper())
    ]:
        ignored = NEVER_ASKED | (SECTIONS if is_in_prose(path) else set()) | (set() if has_examples(path) else {"EX01"})
        errors = validate(path, validator_cls=Checked)["errors"]
        wrong += [f"{path}: {code} {message}" for code, message in errors if code not in ignored]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", MODULES)
def test_signatures_say_types(module):
    """``help`` and ``est?`` show more than Any; aliases are named after what they stand for."""
    vague = [
        f"{path}({name}: {annotation})"
        for path in OBJECTS
        if path.startswith(f"{module}.")
        for name, annotation in annotations(path)
        if annotation is inspect.Parameter.empty
        or (re.search(r"\bAny\b", str(annotation)) and not HANDED_ON.match(str(annotation)))
    ]
    assert not vague, "\n".join(vague)
