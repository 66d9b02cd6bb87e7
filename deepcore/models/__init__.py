"""Models: layers that are trained, measured and shown."""

from deepcore.errors import explain_missing
from deepcore.models.functional import Functional
from deepcore.models.model import Model
from deepcore.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential"]

explain_missing(__name__)
