"""Functions of ``deepcore.utils`` by the names that Keras keeps for older scripts."""

from __future__ import annotations

from deepcore.errors import explain_missing
from deepcore.preprocessing import image, sequence

__all__ = ["image", "sequence"]

explain_missing(__name__)
