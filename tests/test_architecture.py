"""What holds for the house as a whole. That a room imports only from below is checked by ``make check``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import deepcore
from deepcore import ops
from deepcore.backend import FILES, numpy_backend
from deepcore.backend.dispatch import implementations, operations

HEAVY = {"numba", "llvmlite", "cupy", "scipy", "sklearn", "rich", "typer", "h5py", "pooch", "matplotlib", "pandas"}


@pytest.mark.parametrize(
    "statement",
    [
        "import deepcore",
        "import deepcore; deepcore.Tensor([1.0]) * 2",
        "from deepcore import datasets, layers, losses, metrics, models, ops, optimizers, random",
        "import deepcore; deepcore.Sequential([deepcore.layers.Dense(3)])",
    ],
)
def test_imports_stay_light(statement):
    program = f"{statement}\nimport sys; print(*(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_start_imports_nothing_that_only_few_programs_need():
    """Modules of Python which take as long as all of deepcore's own for an operation, each for a rare case."""
    program = (
        "import numpy, sys; before = set(sys.modules)\n"
        "from deepcore import Tensor, ops, random; Tensor([1.0]) * 2; import deepcore.kernels.cpu.library\n"
        "print(*((set(sys.modules) - before) & {'difflib', 'logging', 'secrets', 'tempfile'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_everything_that_is_offered_exists():
    for name in deepcore.__all__:
        assert getattr(deepcore, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'layer'"):
        deepcore.layer  # noqa: B018
    assert set(deepcore.__all__) <= set(dir(deepcore))


def test_every_public_operation_says_what_it_does():
    silent = [name for name in ops.__all__ if not inspect.getdoc(getattr(ops, name)) and name != "EPILOGUES"]
    assert silent == []


def _modules():
    return [
        module.name
        for module in pkgutil.walk_packages(deepcore.__path__, "deepcore.")
        if "__main__" not in module.name and "kernels" not in module.name
    ]


@pytest.mark.parametrize("name", _modules())
def test_every_module_and_public_function_has_a_docstring(name):
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    public = [
        thing
        for attribute, thing in vars(module).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == name
    ]
    assert [thing.__name__ for thing in public if not inspect.getdoc(thing)] == []


def test_every_hot_operation_runs_on_numpy_alone():
    """Numba may be missing or switched off: an operation must not depend on it."""
    for file in FILES:  # each says what it has when it is imported
        importlib.import_module(f"deepcore.backend.numpy.{file}")
    for op in operations():
        names = {record.name for record in implementations(op, "cpu")}
        assert any(name.startswith("numpy") for name in names), f"{op} has {names}"


def test_the_backend_offers_what_its_files_declare():
    backend = numpy_backend()
    for file in FILES:
        module = importlib.import_module(f"deepcore.backend.numpy.{file}")
        for name in module.__all__:
            assert getattr(backend, name) is getattr(module, name)
            assert inspect.getdoc(getattr(module, name))


@pytest.mark.parametrize("file", FILES)
def test_every_backend_keeps_the_contract(file):
    """The CUDA backend has the functions of the NumPy backend, with the same parameters and defaults."""
    ours, theirs = (importlib.import_module(f"deepcore.backend.{name}.{file}") for name in ("numpy", "cuda"))
    assert sorted(ours.__all__) == sorted(theirs.__all__)
    for name in ours.__all__:
        a, b = (inspect.signature(getattr(module, name)).parameters.values() for module in (ours, theirs))
        assert [(p.name, p.kind, p.default) for p in a] == [(p.name, p.kind, p.default) for p in b], name
