"""deepcore: deep-learning layers whose hot paths run on NumPy, or on hand-written CUDA kernels.

``import deepcore as keras`` is meant to work for a course's script: names, defaults and meanings are Keras 3's.
Modules load when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from deepcore.absent import MissingModules, missing_attribute

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "autograd",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "device",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
)
_NAMES = {
    "Tensor": "ops",
    "Device": "device",
    "as_device": "device",
    "current_device": "device",
    "memory_stats": "device",
    "reset_peak_memory": "device",
    "use_device": "device",
    "audit": "backend.audit",
    "warmup": "benchmarks.warmup",
    "grad": "autograd",
    "gradcheck": "autograd",
    "no_grad": "autograd",
    "value_and_grad": "autograd",
    "explain": "backend.explain",
    "get_precision": "backend.dispatch",
    "set_precision": "backend.dispatch",
    "set_winograd": "backend.dispatch",
    "use_implementation": "backend.dispatch",
    "use_precision": "backend.dispatch",
    "use_winograd": "backend.dispatch",
    "GradientTape": "autograd",
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "KerasTensor": "symbolic",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "Variable": "variable",
    "name_scope": "naming",
}

__all__ = ["__version__", *_MODULES, *_NAMES, "version"]


def version() -> str:
    """The version of deepcore: ``__version__``."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f"deepcore.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"deepcore.{name}")
    else:
        raise missing_attribute(__name__, name, __all__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if MissingModules not in sys.meta_path:
    sys.meta_path.append(MissingModules)
