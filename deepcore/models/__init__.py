"""Models: layers that are trained, measured and shown."""

from deepcore.errors import explain_missing
from deepcore.models.cloning import clone_model
from deepcore.models.functional import Functional
from deepcore.models.inference import use_fusion
from deepcore.models.model import Model
from deepcore.models.sequential import Sequential

# Files know models, so they load after them.
_IN_FILES = dict.fromkeys(("load_model", "model_from_json", "save_model"), "deepcore.saving.model_file")

__all__ = ["Functional", "Model", "Sequential", "clone_model", "use_fusion", *_IN_FILES]

explain_missing(__name__, _IN_FILES)
