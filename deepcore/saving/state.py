"""What a model holds that a file must hold: layers, the optimizer, streams of random numbers, and where they go.

Paths are Keras's: ``layers/dense_1``, counted by class where layers are in a list, and attributes by their names. They
do not depend on the names of layers, so a model that is built again finds its weights.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from deepcore.layers.layer import Layer
from deepcore.models.model import Model
from deepcore.models.sequential import Sequential
from deepcore.naming import snake_case
from deepcore.optimizers import Optimizer
from deepcore.random import Generator
from deepcore.variable import misfit

_OF_EVERY_MODEL = frozenset(
    "_compile_arguments _compile_loss _compile_metrics _drawn _input _stack _tracker graph history progress".split()  # noqa: SIM905
)


def holders(model: Any) -> dict[str, Any]:
    """Everything with state within ``model``, by its path; the model itself is at ``""``."""
    found: dict[str, Any] = {}
    _walk(model, "", found, {})
    return found


def _walk(thing: Any, path: str, found: dict[str, Any], seen: dict[int, Any]) -> None:
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    found[path] = thing
    for name, value in _attributes(thing):
        _walk_value(value, f"{path}/{name}" if path else name, found, seen)


def _walk_value(value: Any, path: str, found: dict[str, Any], seen: dict[int, Any]) -> None:
    if _has_state(value):
        _walk(value, path, found, seen)
    elif isinstance(value, list | tuple | dict) and id(value) not in seen:
        seen[id(value)] = value  # kept, so that no other list can have its id
        used: dict[str, int] = {}
        for part in value.values() if isinstance(value, dict) else value:
            if _has_state(part):
                inner = _counted(snake_case(type(part).__name__), used)
            elif isinstance(part, list | tuple | dict):
                inner = _counted("container", used)
            else:
                continue
            _walk_value(part, f"{path}/{inner}", found, seen)


def _counted(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


def _has_state(value: Any) -> bool:
    if isinstance(value, Layer | Optimizer | Generator):
        return True
    return hasattr(type(value), "save_own_variables") and hasattr(type(value), "load_own_variables")


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Attributes in Keras's order: a drawn model's layers first, then by name, private ones last."""
    names = set(vars(thing)) if hasattr(thing, "__dict__") else set()
    if isinstance(thing, Layer):
        names -= _of_every_layer()
    if isinstance(thing, Model):
        names = names - _OF_EVERY_MODEL | {"layers", "optimizer"}
        drawn = thing.layers if isinstance(thing, Sequential) else thing.graph and thing.graph.layers
        if drawn is not None:
            yield "layers", drawn
            names.discard("layers")
    for name in sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name):
        yield name, getattr(thing, name)


@functools.cache
def _of_every_layer() -> frozenset[str]:
    return frozenset({*vars(Layer(name="plain")), "_given", "_build_shapes"})


def save_state(model: Any, writer: Any, assets: str | None = None) -> None:
    """Writes the state of everything in ``model``; ``assets`` is a folder for what is no array."""
    for path, thing in holders(model).items():
        name = getattr(thing, "name", None)
        entry = writer.entry(path, name if isinstance(name, str) else None)
        if isinstance(thing, Generator):
            entry["0"] = np.array([thing.seed, thing.offset], np.uint64)
        else:
            thing.save_own_variables(entry)
        if assets is not None and hasattr(thing, "save_assets"):
            folder = os.path.join(assets, *path.split("/"))
            os.makedirs(folder, exist_ok=True)
            thing.save_assets(folder)


def load_state(model: Any, reader: Any, assets: str | None = None, skip_mismatch: bool = False) -> None:
    """Reads what ``save_state`` wrote.

    Raises ``ValueError``, which lists what is missing, misfits, or is not the model's, before anything is changed;
    with ``skip_mismatch`` warns, and leaves these layers as they are.
    """
    stored = reader.paths()
    things = holders(model)
    _prepare_optimizer(model, stored)
    problems: dict[str, str] = {}
    for path, thing in things.items():
        if isinstance(thing, Layer) and type(thing).load_own_variables is Layer.load_own_variables:
            own = thing._members()[0]
            problem = misfit(own, reader.entry(path))
            if problem is not None:
                problems[path] = f"{_where(path, thing)}: " + (
                    f"expects {len(own)} variables, but received 0 variables: it is not in the file"
                    if path not in stored
                    else _unbuilt(thing) + problem
                )
    own_paths = {path for path in stored if path in things}
    foreign = [
        path
        for path in stored
        if path not in own_paths and path.split("/")[0] != "optimizer" and not path.endswith("seed_generator")
    ]
    if problems and not skip_mismatch:
        raise ValueError(_summary(problems, foreign))
    failed = dict(problems)
    for path, thing in things.items():
        if path in problems:
            continue
        try:
            if isinstance(thing, Generator):
                _load_stream(thing, reader.entry(path))
            elif path in stored or not isinstance(thing, Optimizer):
                thing.load_own_variables(reader.entry(path))
            folder = None if assets is None else os.path.join(assets, *path.split("/"))
            if folder is not None and hasattr(thing, "load_assets") and os.path.isdir(folder):
                thing.load_assets(folder)
        except Exception as error:  # whatever a layer's own load_own_variables raises
            failed[path] = f"{_where(path, thing)}: {error}"
            if not skip_mismatch:
                raise ValueError(_summary(failed, foreign)) from error
    if failed or foreign:
        warnings.warn(_summary(failed, foreign), stacklevel=4)


def _load_stream(stream: Generator, entry: Any) -> None:
    """Goes on from where the stream was; files of Keras do not say, and change nothing."""
    if "0" in entry and entry.shape("0") == (2,):
        stream.seed, stream.offset = map(int, entry["0"])


def _prepare_optimizer(model: Any, stored: dict[str, int]) -> None:
    """Makes the slots of an optimizer that has taken no step, where the file has values for them."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, Optimizer) and not optimizer.built and stored.get("optimizer", 0) > 2:
        optimizer.build(model.trainable_weights)


def _where(path: str, thing: Any) -> str:
    return f"{path or 'the model'} ({getattr(thing, 'name', type(thing).__name__)})"


def _unbuilt(layer: Layer) -> str:
    if layer.built or layer._members()[0]:
        return ""
    return "was not built when its weights were to be read; its owner's build() must build it. "


def _summary(failed: dict[str, str], foreign: list[str]) -> str:
    said = []
    if failed:
        listed = "; ".join(failed.values())
        said.append(f"{len(failed)} of the model's layers could not be loaded from the file: {listed}.")
    if foreign:
        said.append(f"The file has weights that the model has no place for: {', '.join(foreign)}.")
    if failed:
        said.append(
            "The model must match the one that was saved; skip_mismatch=True loads what fits, "
            "and leaves the rest as it is."
        )
    return " ".join(said)
