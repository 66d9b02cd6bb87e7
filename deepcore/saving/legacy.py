"""The HDF5 of Keras 2, which Keras 3 and its applications still use: groups named after layers, with lists of names.

The attribute ``layer_names`` lists the layers in the model's order, ``weight_names`` in each layer's group its arrays;
lists too long for one attribute are cut into ``layer_names0``, ``layer_names1``, ... A whole model adds the attributes
``model_config`` and ``training_config``, and puts the layers into the group ``model_weights``.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deepcore import losses, metrics, optimizers, serialization
from deepcore.errors import CorruptedFileError
from deepcore.saving.hdf5 import child, dataset, read
from deepcore.variable import Variable

_LONGEST_ATTRIBUTE = 64512  # bytes in an HDF5 object's header
_TOP = "top_level_model_weights"
_TRAINING = ("loss", "metrics", "loss_weights", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile")


# Writing


def save_model(model: Any, file: Any, include_optimizer: bool = True) -> None:
    """Writes a whole model into ``file``, opened for writing and reading."""
    import h5py

    from deepcore.saving.model_file import FORMAT

    config = {"class_name": type(model).__name__, "config": serialization.serialize(model.get_config())}
    with h5py.File(file, "w") as h5:
        h5.attrs["keras_version"] = FORMAT
        h5.attrs["backend"] = "deepcore"
        h5.attrs["model_config"] = json.dumps(config).encode()
        if include_optimizer and model.compiled:
            compiled = model.get_compile_config()
            training = {key: compiled.get(key) for key in _TRAINING}
            training["optimizer_config"] = {key: compiled["optimizer"][key] for key in ("class_name", "config")}
            h5.attrs["training_config"] = json.dumps(training).encode()
        group = h5.create_group("model_weights")
        group.attrs["backend"], group.attrs["keras_version"] = b"deepcore", FORMAT.encode()
        _write_names(group, "layer_names", [layer.name for layer in model.layers])
        for layer in model.layers:
            _write_arrays(group.create_group(layer.name), _weights(layer))
        _write_arrays(group.create_group(_TOP), model._members()[0])
        if include_optimizer and model.compiled:
            _write_arrays(h5.create_group("optimizer_weights"), model.optimizer.variables)


def _write_arrays(group: Any, variables: Iterable[Variable]) -> None:
    names: list[str] = []
    for variable in variables:
        taken = variable.path in names or any(name.startswith(f"{variable.path}/") for name in names)
        names.append(f"{variable.path}_{len(names)}" if taken else variable.path)
        group.create_dataset(names[-1], data=variable.numpy())
    _write_names(group, "weight_names", names)


def _write_names(group: Any, attribute: str, names: Sequence[str]) -> None:
    encoded = np.array([name.encode() for name in names]) if names else np.array([], "S1")
    parts = max(1, -(-encoded.nbytes // _LONGEST_ATTRIBUTE) * 2 if encoded.nbytes > _LONGEST_ATTRIBUTE else 1)
    for i, part in enumerate(np.array_split(encoded, parts)):
        group.attrs[attribute if parts == 1 else f"{attribute}{i}"] = part


# Reading


def load_model(path: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """The model of a file of ``save_model``, or of Keras 2 and 3."""
    import h5py

    with (
        h5py.File(path, "r") as h5,
        serialization.CustomObjectScope(custom_objects),
        serialization.SafeModeScope(safe_mode),
    ):
        if "model_config" not in h5.attrs:
            raise ValueError(f"No model config found: {path} holds weights only. Make the model, and use load_weights.")
        with serialization.sharing():
            model = serialization.deserialize(_modern(_json(h5.attrs["model_config"])))
        _load(model, child(h5, "model_weights", h5py.Group), by_name=False, skip_mismatch=False)
        if compile:
            _compile(model, h5)
    return model


def _compile(model: Any, h5: Any) -> None:
    import h5py

    if "training_config" not in h5.attrs:
        warnings.warn("The file does not say how the model was trained, so it is not compiled.", stacklevel=4)
        return
    training = _modern(_json(h5.attrs["training_config"]))
    arguments = {key: training[key] for key in _TRAINING if training.get(key) is not None}
    kinds = {
        "loss": losses.registry.entries,
        "metrics": metrics.registry.entries,
        "weighted_metrics": metrics.registry.entries,
    }
    described = {key: serialization.deserialize(value, kinds=kinds.get(key)) for key, value in arguments.items()}
    model.compile(optimizers.deserialize(training["optimizer_config"]), **described)
    if model.trainable_weights:
        model.optimizer.build(model.trainable_weights)
    if "optimizer_weights" in h5:
        arrays = _Arrays(child(h5, "optimizer_weights", h5py.Group))
        model.optimizer.load_own_variables(arrays)


def _json(text: Any) -> Any:
    return json.loads(text.decode() if isinstance(text, bytes) else str(text))


def _modern(config: Any) -> Any:
    """A configuration of Keras 2 with the names that Keras 3 gave its arguments."""
    if isinstance(config, list):
        return [_modern(part) for part in config]
    if not isinstance(config, dict):
        return config
    config = {key: _modern(value) for key, value in config.items()}
    inner = config.get("config")
    if isinstance(inner, dict) and isinstance(config.get("class_name"), str):
        shape = inner.pop("batch_input_shape", None)
        if shape is not None and config["class_name"] == "InputLayer":
            inner["batch_shape"] = shape
        axis = inner.get("axis")
        if isinstance(axis, list) and len(axis) == 1 and config["class_name"] == "BatchNormalization":
            inner["axis"] = axis[0]
    return config


def load_weights(model: Any, path: str | os.PathLike[str], by_name: bool, skip_mismatch: bool) -> None:
    """Reads the weights of a file into a model whose layers have the same order, or ``by_name`` the same names."""
    import h5py

    with h5py.File(path, "r") as h5:
        group = h5 if _names(h5, "layer_names") else child(h5, "model_weights", h5py.Group)
        _load(model, group, by_name, skip_mismatch)


def _load(model: Any, group: Any, by_name: bool, skip_mismatch: bool) -> None:
    """Checks everything first, then writes; so that a file that does not fit changes nothing."""
    import h5py

    stored = [(name, _Arrays(child(group, name, h5py.Group))) for name in _names(group, "layer_names")]
    if by_name:
        pairs = [(layer, name, arrays) for name, arrays in stored for layer in model.layers if layer.name == name]
    else:
        stored = [(name, arrays) for name, arrays in stored if len(arrays)]
        layers = [layer for layer in model.layers if layer.weights]
        if len(stored) != len(layers):
            raise ValueError(
                f"Layer count mismatch: the model expected {len(layers)} layers "
                f"({', '.join(layer.name for layer in layers)}), but in the file are found {len(stored)} "
                f"({', '.join(name for name, _ in stored)}). by_name=True loads those whose names agree."
            )
        pairs = [(layer, name, arrays) for layer, (name, arrays) in zip(layers, stored, strict=True)]
    wanted = [(f"{layer.name} (in the file {name})", _weights(layer), arrays) for layer, name, arrays in pairs]
    if _TOP in group:
        wanted.append(("the model itself", model._members()[0], _Arrays(child(group, _TOP, h5py.Group))))
    fitting, problems = [], []
    for what, variables, arrays in wanted:
        if len(variables) != len(arrays):
            problems.append(f"{what}: expects {len(variables)} weight(s), the file has {len(arrays)}")
            continue
        misfits = [
            f"{what}: {variable.name} has shape {variable.shape}, in the file {arrays.shape(str(i))}"
            for i, variable in enumerate(variables)
            if arrays.shape(str(i)) != variable.shape
        ]
        problems += misfits
        fitting += [
            (variable, arrays, str(i)) for i, variable in enumerate(variables) if arrays.shape(str(i)) == variable.shape
        ]
    if problems and not skip_mismatch:
        raise ValueError(
            f"Weight count or shape mismatch when loading weights from file: {'; '.join(problems)}. "
            "skip_mismatch=True loads what fits."
        )
    if problems:
        warnings.warn(f"Skipping what does not fit: {'; '.join(problems)}.", stacklevel=5)
    for variable, arrays, key in fitting:
        variable.assign(arrays[key])


class _Arrays:
    """The arrays of a group in the order of its ``weight_names``, by ``"0"``, ``"1"``, ...; read when asked for."""

    def __init__(self, group: Any) -> None:
        self._group, self._listed = group, _names(group, "weight_names")

    def __len__(self) -> int:
        return len(self._listed)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.isdigit() and int(key) < len(self._listed)

    def shape(self, key: str) -> tuple[int, ...]:
        return tuple(dataset(self._group, self._listed[int(key)]).shape)

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        return read(dataset(self._group, self._listed[int(key)]))


def _names(group: Any, attribute: str) -> list[str]:
    pieces = [attribute] if attribute in group.attrs else []
    while not pieces or pieces[-1] != attribute:
        piece = f"{attribute}{len(pieces)}"
        if piece not in group.attrs:
            break
        pieces.append(piece)
    found = [name for piece in pieces for name in np.atleast_1d(group.attrs[piece])]
    names = [name.decode() if isinstance(name, bytes) else name for name in found]
    if not all(isinstance(name, str) and name for name in names):
        raise CorruptedFileError(f"{attribute} in the HDF5 file does not list names.")
    return [str(name) for name in names]


def _weights(layer: Any) -> list[Variable]:
    """In the order of the format: those that are trained come first, those of layers within, too."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]
