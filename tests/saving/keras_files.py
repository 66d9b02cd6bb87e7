"""Files as Keras 3 lays them out, made by hand with zipfile and h5py: what the reader is held to.

A ``.keras`` file is a zip archive, stored without compression, of

- ``metadata.json``: ``{"keras_version", "date_saved"}``,
- ``config.json``: ``{"module", "class_name", "config", "registered_name"}`` of the model, with ``build_config`` and
  ``compile_config`` beside them where there are any,
- ``model.weights.h5``: for each layer a group ``<path>/vars`` with the datasets ``0``, ``1``, ... and the attribute
  ``name``. The path of a layer in a model is ``layers/`` and its class in snake case, counted from the second one on
  (``layers/dense``, ``layers/dense_1``); that of a layer in an attribute is the attribute's name
  (``layers/bidirectional/forward_layer/cell``). The optimizer is at ``optimizer/vars``: the step, the learning rate
  unless it is a schedule, then what is kept for each weight.
"""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np

POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def weights(arrays, names=()):
    """The bytes of an HDF5 file: ``arrays`` by path without ``vars``, ``{"layers/dense": [kernel, bias]}``."""
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        for path, values in arrays.items():
            group = h5.create_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = dict(names).get(path, "any")
            for i, value in enumerate(values):
                group[str(i)] = value
    return file.getvalue()


def archive(path, config, arrays, extra=()):
    """Writes a ``.keras`` file."""
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2025-01-01@00:00:00"}))
        zipped.writestr("config.json", json.dumps(config))
        zipped.writestr("model.weights.h5", arrays if isinstance(arrays, bytes) else weights(arrays))
        for name, content in extra:
            zipped.writestr(name, content)
    return str(path)


def initializer(name, **config):
    return {"module": "keras.initializers", "class_name": name, "config": config, "registered_name": None}


def dense(name, units, features, activation="linear"):
    """The configuration of a Dense layer with every key that Keras writes."""
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": POLICY,
            "units": units,
            "activation": activation,
            "use_bias": True,
            "kernel_initializer": initializer("GlorotUniform", seed=None, input_axes=None, output_axes=None),
            "bias_initializer": initializer("Zeros"),
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
            "quantization_config": None,
        },
        "registered_name": None,
        "build_config": {"input_shape": [None, features]},
    }


def input_layer(name, *sizes):
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": [None, *sizes],
            "dtype": "float32",
            "sparse": False,
            "ragged": False,
            "name": name,
            "optional": False,
        },
        "registered_name": None,
    }


def sequential(layers, features, **more):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "trainable": True,
            "dtype": POLICY,
            "layers": layers,
            "build_input_shape": [None, features],
        },
        "registered_name": None,
        "build_config": {"input_shape": [None, features]},
        **more,
    }


def functional(layers, inputs, outputs, name="functional"):
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": layers,
            "input_layers": inputs,
            "output_layers": outputs,
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
    }


def operation(class_name, home="numpy", **config):
    return {
        "module": f"keras.src.ops.{home}",
        "class_name": class_name,
        "config": config,
        "registered_name": class_name,
    }


def tensor(shape, *history):
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, *shape], "dtype": "float32", "keras_history": list(history)},
    }


def called(entry, name, *calls):
    """A layer's entry in a drawn model: its name, and the positional arguments of each of its calls."""
    made = [{"args": list(args), "kwargs": {}} for args in calls]
    return {**entry, "name": name, "inbound_nodes": made}


def a_slice(start, stop):
    return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": None}}


def adam(step, rate, slots):
    """Configuration and state of Adam after ``step`` steps, as Keras's torch backend writes them."""
    config = {
        "module": "keras.src.backend.torch.optimizers.torch_adam",
        "class_name": "Adam",
        "config": {
            "name": "adam",
            "learning_rate": rate,
            "weight_decay": None,
            "clipnorm": None,
            "global_clipnorm": None,
            "clipvalue": None,
            "use_ema": False,
            "ema_momentum": 0.99,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
            "beta_1": 0.9,
            "beta_2": 0.999,
            "epsilon": 1e-07,
            "amsgrad": False,
        },
        "registered_name": "Adam",
    }
    return config, [np.int32(step), np.float32(rate), *slots]
