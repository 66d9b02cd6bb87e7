"""Models: layers that are trained, measured and shown."""

from typing import Any

from deepcore.models.cloning import clone_model
from deepcore.models.functional import Functional
from deepcore.models.model import Model
from deepcore.models.sequential import Sequential

_IN_FILES = ("load_model", "model_from_json", "save_model")

__all__ = ["Functional", "Model", "Sequential", "clone_model", *_IN_FILES]


def __getattr__(name: str) -> Any:
    if name in _IN_FILES:  # files know models, so they load after them
        from deepcore.saving import model_file

        return getattr(model_file, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
