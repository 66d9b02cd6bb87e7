"""Keras's names in deepcore: what is here is where Keras has it; what is not fails in words that lead on.

docs/keras.md says which is which, and is held to the deepcore that is tested.
"""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import deepcore
from deepcore import absent, layers
from deepcore.absent import Explaining, nearest_thing

DOCS = Path(__file__).parents[1] / "docs"
PAGE = runpy.run_path(str(DOCS / "keras_page.py"))
NAMES = PAGE["read"]("names")
found, read = PAGE["found"], PAGE["read"]


def here(module: str, name: str) -> bool:
    return found(f"{module}.{name}" if module else name) is not None


def offered(message: str) -> list[str]:
    """The names that a message offers."""
    return re.findall(r"'(\w+)'", message.partition("Did you mean")[2] or message.partition("spelling:")[2]) or (
        re.findall(r"deepcore\.([\w.]+\w)", message.partition("The nearest there is:")[2])
    )


def lookup(path: str):
    """What a path leads to, a module too."""
    thing = deepcore
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing


def test_the_page_agrees_with_the_library():
    assert (DOCS / "keras.md").read_text() == PAGE["page"](), "run: python docs/keras_page.py"
    assert found("layers.Dense") is layers.Dense
    assert found("layers.Unheard") is None


@pytest.mark.parametrize("module", NAMES)
def test_what_is_here_can_be_imported_as_in_keras(module):
    wanted = [name for name in NAMES[module] if here(module, name)]
    source = f"deepcore.{module}".rstrip(".")
    space: dict[str, object] = {}
    for name in wanted:
        exec(f"from {source} import {name}", space)
        assert space[name] is getattr(importlib.import_module(source), name)
        assert not isinstance(space[name], ModuleType) or callable(space[name])


@pytest.mark.parametrize("module", NAMES)
def test_what_is_not_here_is_named_with_the_nearest_thing(module):
    missing = [name for name in NAMES[module] if not here(module, name)]
    source = f"deepcore.{module}".rstrip(".")
    for name in missing:
        # A module that is missing as a whole says so, whatever is wanted of it.
        with pytest.raises(ImportError) as caught:
            exec(f"from {source} import {name}", {})
        said = [str(caught.value)]
        whole = isinstance(caught.value, ModuleNotFoundError)
        if not whole:
            with pytest.raises(AttributeError) as asked:
                getattr(importlib.import_module(source), name)
            said.append(str(asked.value))
        for message in said:
            absentee = caught.value.name.removeprefix("deepcore.") if whole else f"{module}.{name}".lstrip(".")
            assert f"deepcore has no {'module ' if whole else ''}{absentee} yet" in message
            assert offered(message), message


def test_a_module_that_is_not_here_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"no module applications yet.*deepcore\.models") as caught:
        importlib.import_module("deepcore.applications.vgg16")
    assert caught.value.name == "deepcore.applications"
    with pytest.raises(AttributeError, match="deepcore has no applications yet"):
        _ = deepcore.applications
    with pytest.raises(ModuleNotFoundError, match=r"no module layer yet. Did you mean 'layers'"):
        importlib.import_module("deepcore.layer")
    with pytest.raises(ModuleNotFoundError, match="No module named 'unheard_of'"):
        importlib.import_module("unheard_of")


def test_what_is_offered_by_meaning_is_here_and_what_it_stands_for_is_not():
    for missing, nearest in absent._BY_NAME.items():
        owner, _, member = missing.rpartition(".")
        if owner and inspect.isclass(found(owner)):
            assert not hasattr(found(owner), member), missing
        else:
            assert found(missing) is None, missing
        for path in nearest.split():
            assert lookup(path) is not None, path


@pytest.mark.parametrize("owner", read("members"))
def test_members_that_are_not_here_are_named_with_the_nearest_one(owner):
    example = PAGE["EXAMPLES"][owner](deepcore)
    missing = [name for name in read("members")[owner] if not PAGE["has_member"](example, name)]
    if not isinstance(example, Explaining):
        return
    for name in missing:
        with pytest.raises(AttributeError) as caught:
            getattr(example, name)
        assert f"object has no attribute {name!r}" in str(caught.value)
        assert offered(str(caught.value)), str(caught.value)


def test_an_error_within_a_property_is_its_own():
    class Broken(layers.Layer):
        @property
        def size(self):
            return self.unheard_of

    with pytest.raises(AttributeError, match="'Broken' object has no attribute 'unheard_of'"):
        _ = Broken().size
    assert not hasattr(Broken(), "sizes")
    with pytest.raises(AttributeError, match=r"'Broken' object has no attribute '_hidden'$"):
        _ = Broken()._hidden


def arguments_not_here():
    for path in PAGE["comparable"]():
        for name in PAGE["missing_arguments"](path):
            yield path, name


@pytest.mark.parametrize(("path", "name"), list(arguments_not_here()))
def test_an_argument_that_is_not_here_is_named(path, name):
    owner, _, method = path.rpartition(".")
    call = found(path)
    if owner in PAGE["EXAMPLES"]:
        call = getattr(PAGE["EXAMPLES"][owner](deepcore), method)
    needed = {
        parameter.name: 1
        for parameter in inspect.signature(call).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    with pytest.raises((TypeError, ValueError), match=rf"argument '{name}'"):
        call(**needed, **{name: None})


def test_arguments_are_read_as_python_writes_them():
    def example(a, /, b, c=(1, 2.5), *args, d, e="x", **kwargs):
        return a, b, c, args, d, e, kwargs

    assert PAGE["signature_text"](example) == "a, /, b, c=(1, 2.5), *args, d, e='x', **kwargs"
    assert PAGE["arguments_of"]("a, /, b, c=(1, 2.5), *, d, e='x'") == {
        "a": ("/", None),
        "b": ("", None),
        "c": ("", "(1, 2.5)"),
        "d": ("*", None),
        "e": ("*", "'x'"),
    }


def test_the_nearest_by_meaning_comes_before_the_nearest_by_spelling():
    assert nearest_thing(["layers"], "Attention", ["Activation"]).startswith(" The nearest there is: deepcore.layers.")
    assert nearest_thing(["layers"], "Activaton", ["Activation"]) == " Did you mean 'Activation'?"
    assert nearest_thing(["layers"], "qqq", ["Activation"]) == " The nearest by its spelling: 'Activation'."
    assert nearest_thing(["layers"], "qqq", []) == ""


SCRIPT = """
import deepcore as keras
from deepcore import backend as K, layers
from deepcore.models import Sequential, Model, load_model
from deepcore.layers import Dense, Input, Flatten
from deepcore.utils import to_categorical, get_file
from deepcore.preprocessing.sequence import pad_sequences
from deepcore.preprocessing.image import load_img, img_to_array
from deepcore.optimizers.schedules import ExponentialDecay
from deepcore.callbacks import EarlyStopping
from deepcore.datasets import mnist, cifar100
from deepcore.saving import register_keras_serializable
import deepcore.backend
import deepcore.utils as utils
K.clear_session()
model = Sequential([Input((2,)), Dense(1)])
print(model.name, K.floatx(), keras.version() == keras.__version__)
"""


def test_a_script_imports_as_from_keras():
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sequential float32 True\n"
