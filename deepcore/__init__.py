"""deepcore: deep-learning layers whose hot paths run on NumPy, or on hand-written CUDA kernels.

``import deepcore as keras`` is meant to work for a course's script: names, defaults and meanings are Keras 3's.
Modules load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

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
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
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
    "use_implementation": "backend.dispatch",
    "use_precision": "backend.dispatch",
    "GradientTape": "autograd",
    "Input": "layers",
    "KerasTensor": "symbolic",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Sequential": "models",
    "Variable": "variable",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f"deepcore.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"deepcore.{name}")
    else:
        from deepcore.errors import nearest

        raise AttributeError(
            f"module 'deepcore' has no attribute {name!r}: deepcore has no {name} yet.{nearest(name, __all__)}"
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
