"""Pictures: see ``deepcore.utils``."""

from __future__ import annotations

from deepcore.errors import explain_missing
from deepcore.utils.images import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]

explain_missing(__name__)
