"""Sequences: see ``deepcore.utils``."""

from __future__ import annotations

from deepcore.errors import explain_missing
from deepcore.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]

explain_missing(__name__)
