"""Pictures in files, as Pillow's images, and as arrays."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.config import floatx, image_data_format

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_FILTERS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow(caller: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"{caller} needs Pillow ({error}): pip install 'deepcore[data]'.") from error
    return Image


def _first(data_format: str | None) -> bool:
    known = image_data_format() if data_format is None else str(data_format).lower()
    if known not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first'; got {data_format!r}.")
    return known == "channels_first"


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """The picture of a file, as a Pillow image.

    Args:
        path: a path, or an ``io.BytesIO`` of the file.
        color_mode: ``"grayscale"``, ``"rgb"`` or ``"rgba"``. Grey of 16 or 32 bits keeps its depth.
        target_size: (height, width) to bring it to.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"hamming"``, ``"box"`` or ``"lanczos"``.
        keep_aspect_ratio: cut the middle out in the target's proportions before it is resized.

    Raises ``TypeError`` for another path, ``ValueError`` for other names, ``ImportError`` without Pillow.
    """
    Image = _pillow("load_img")
    if not isinstance(path, (io.BytesIO, str, bytes, os.PathLike)):
        raise TypeError(f"load_img: path must be a path or an io.BytesIO; got {path!r} ({type(path).__name__}).")
    if color_mode not in _MODES:
        raise ValueError(f"load_img: color_mode must be one of {', '.join(_MODES)}; got {color_mode!r}.")
    if target_size is not None and interpolation not in _FILTERS:
        raise ValueError(f"load_img: interpolation must be one of {', '.join(_FILTERS)}; got {interpolation!r}.")
    source = path if isinstance(path, io.BytesIO) else io.BytesIO(Path(os.fsdecode(path)).read_bytes())
    image = Image.open(source)
    if not (color_mode == "grayscale" and image.mode in ("I;16", "I")):
        image = image.convert(_MODES[color_mode])
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        full_width, full_height = image.size
        cut_height = min(full_height, full_width * height // width)
        cut_width = min(full_width, full_height * width // height)
        top, left = (full_height - cut_height) // 2, (full_width - cut_width) // 2
        box = (left, top, left + cut_width, top + cut_height)
    return image.resize((width, height), getattr(Image.Resampling, interpolation.upper()), box=box)


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray[Any, Any]:
    """The pixels of a picture, [height, width, channels], or channels first; float32 unless ``dtype`` says otherwise.

    Raises ``ValueError`` for anything of another rank than 2 or 3.
    """
    first = _first(data_format)
    pixels = np.asarray(img, dtype=floatx() if dtype is None else dtype)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3:
        raise ValueError(f"img_to_array expects a picture of rank 2 or 3; got shape {pixels.shape}.")
    return pixels.transpose(2, 0, 1) if first else pixels


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A Pillow image of pixels [height, width, channels], or channels first; 1, 3 or 4 channels.

    ``scale`` brings the smallest pixel to 0 and the largest to 255. Raises ``ValueError`` for another rank or number
    of channels, ``ImportError`` without Pillow.
    """
    first = _first(data_format)
    Image = _pillow("array_to_img")
    pixels = np.asarray(x, dtype=floatx() if dtype is None else dtype)
    if pixels.ndim != 3:
        raise ValueError(f"array_to_img expects one picture, of rank 3; got shape {pixels.shape}.")
    if first:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img expects 1, 3 or 4 channels; got {pixels.shape[2]}.")
    if scale:
        pixels = pixels - pixels.min()
        pixels = pixels * (255 / (pixels.max() or 1))
    if pixels.shape[2] > 1:
        return Image.fromarray(np.ascontiguousarray(pixels.astype(np.uint8)))
    deep = pixels.max() > 255
    return Image.fromarray(pixels[..., 0].astype(np.int32 if deep else np.uint8))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Writes pixels as ``array_to_img`` takes them; the format is that of the path's ending, or ``file_format``."""
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = Path(path).suffix[1:]
    file_format = "jpeg" if file_format and file_format.lower() == "jpg" else file_format
    image = array_to_img(x, data_format=data_format, scale=scale)
    if image.mode == "RGBA" and file_format and file_format.lower() == "jpeg":
        warnings.warn("JPEG holds no transparency; the picture is saved as RGB.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format or None, **kwargs)


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> Any:
    """The largest middle part of pictures that has the proportions of ``size``, brought to ``size``.

    Args:
        x: [height, width, channels] or [batch, height, width, channels]: a tensor, which gives one, or an array.
        size: (height, width) of the result.
        interpolation, data_format: see ``ops.image.resize``.

    Raises ``ValueError`` for another rank, and what ``ops.image.resize`` raises.
    """
    if len(size) != 2:
        raise ValueError(f"smart_resize: size must be (height, width); got {size!r}.")
    if np.ndim(x) not in (3, 4):
        raise ValueError(f"smart_resize expects pictures of rank 3 or 4; got shape {np.shape(x)}.")
    resized = ops.image.resize(x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return ops.convert_to_numpy(resized) if isinstance(x, np.ndarray) else resized
