"""Functions of ``deepcore.utils`` by the names that Keras keeps for older scripts."""

from __future__ import annotations

from deepcore.errors import explain_missing
from deepcore.preprocessing import image, sequence
from deepcore.utils import image_dataset_from_directory, text_dataset_from_directory, timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]

explain_missing(__name__)
