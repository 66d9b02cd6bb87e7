"""Files: models and their weights, in Keras's formats, read without running anything that a file says."""

from deepcore.errors import explain_missing
from deepcore.saving.model_file import load_model, save_model
from deepcore.saving.weights_file import load_weights, save_weights
from deepcore.serialization import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from deepcore.serialization import deserialize as deserialize_keras_object
from deepcore.serialization import serialize as serialize_keras_object

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

explain_missing(__name__)
