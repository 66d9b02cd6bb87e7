"""Data sets of the files in a folder: pictures or texts, a subfolder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore import config, ops
from deepcore.autograd import no_grad
from deepcore.device import CPU, use_device
from deepcore.tensor import Tensor
from deepcore.utils.images import load_img
from deepcore.utils.samples import SampleDataset, check_format

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LABEL_MODES = ("int", "categorical", "binary", None)
_COLORS = ("grayscale", "rgb", "rgba")
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of pictures, float32 [batch, height, width, channels] from 0 to 255, with their labels.

    Args:
        directory: a folder with a subfolder of pictures for each class: ``.bmp``, ``.gif``, ``.jpeg``, ``.jpg``,
            ``.png``.
        labels: ``"inferred"`` from the subfolders, None for pictures alone, or a list of whole numbers, one for each
            file in the alphabetical order of the paths.
        label_mode: ``"int"`` for int32 [batch], ``"categorical"`` for one-hot float32 [batch, classes], ``"binary"``
            for float32 [batch, 1] of two classes, None for pictures alone.
        class_names: the subfolders to use, in the order of their numbers; all of them, sorted, by default.
        color_mode: ``"grayscale"``, ``"rgb"`` or ``"rgba"``: 1, 3 or 4 channels.
        batch_size: pictures in a batch; None for pictures without a batch axis.
        image_size: (height, width) that they are brought to.
        shuffle: draw a random order first, and another in each pass.
        seed: of these orders.
        validation_split: the last part of the files, in the order drawn, that is for validation.
        subset: ``"training"``, ``"validation"``, or ``"both"`` for a list of both.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        follow_links: go into subfolders that are links, too.
        crop_to_aspect_ratio, pad_to_aspect_ratio: see ``ops.image.resize``.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        format: ``"tf"`` or ``"grain"``: of Keras's data set. This one is the same for both.
        verbose: say how many files there are.

    The data set has ``class_names`` and ``file_paths``. Raises ``ValueError`` for names and sizes that it does not
    know, for a split without a ``seed``, and where there are no pictures; ``ImportError`` without Pillow.
    """
    if color_mode not in _COLORS:
        raise ValueError(f"color_mode must be one of {', '.join(_COLORS)}; got {color_mode!r}.")
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise ValueError(f"image_size must be (height, width); got {image_size!r}.")
    if str(interpolation).lower() not in _INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {', '.join(_INTERPOLATIONS)}; got {interpolation!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True.")
    data_format = config.image_data_format() if data_format is None else str(data_format).lower()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first'; got {data_format!r}.")
    resizing = {
        "size": tuple(size),
        "interpolation": str(interpolation).lower(),
        "crop_to_aspect_ratio": crop_to_aspect_ratio,
        "pad_to_aspect_ratio": pad_to_aspect_ratio,
        "data_format": data_format,
    }
    return _datasets(
        _Pictures(color_mode, resizing),
        "images",
        _PICTURES,
        directory=directory,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        format=format,
        verbose=verbose,
    )


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of texts, lists of strings, with their labels, of the ``.txt`` files in a folder.

    ``max_length`` is the most characters of a text that are kept; the files are read as UTF-8. The other arguments, the
    result and what is raised are those of ``image_dataset_from_directory``.
    """
    return _datasets(
        _Texts(max_length),
        "text files",
        (".txt",),
        directory=directory,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        format=format,
        verbose=verbose,
    )


class _Pictures:
    """Reads pictures, all brought to one size."""

    def __init__(self, color_mode: str, resizing: dict[str, Any]) -> None:
        self.color_mode, self.resizing = color_mode, resizing

    def __call__(self, paths: list[str]) -> np.ndarray[Any, Any]:
        return np.stack([self._read(path) for path in paths])

    def _read(self, path: str) -> np.ndarray[Any, Any]:
        pixels = np.asarray(load_img(path, self.color_mode), np.float32)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if self.resizing["data_format"] == "channels_first":
            pixels = pixels.transpose(2, 0, 1)
        with use_device(CPU), no_grad():
            return ops.convert_to_numpy(ops.image.resize(Tensor(pixels), **self.resizing))


class _Texts:
    """Reads texts, cut off after ``max_length`` characters."""

    def __init__(self, max_length: int | None) -> None:
        self.max_length = max_length

    def __call__(self, paths: list[str]) -> list[str]:
        return [self._read(path) for path in paths]

    def _read(self, path: str) -> str:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read() if self.max_length is None else file.read(self.max_length)


class _Files:
    """The samples of some files: what ``read`` gives, and their labels."""

    def __init__(self, read: Callable[[list[str]], Any], paths: list[str], labels: np.ndarray[Any, Any] | None) -> None:
        self.read, self.paths, self.labels = read, paths, labels

    def __call__(self, numbers: Any) -> Any:
        contents = self.read([self.paths[number] for number in np.atleast_1d(numbers)])
        if np.ndim(numbers) == 0:
            contents = contents[0]
        return contents if self.labels is None else (contents, self.labels[numbers])


def _datasets(
    read: Callable[[list[str]], Any],
    what: str,
    endings: tuple[str, ...],
    *,
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    format: str,
    verbose: bool,
) -> Any:
    if labels is not None and labels != "inferred":
        if not isinstance(labels, list | tuple):
            raise ValueError(
                f"labels must be 'inferred', None, or a list of whole numbers, one for each file; got {labels!r}."
            )
        if class_names:
            raise ValueError("class_names can only be given where labels='inferred'.")
    if label_mode not in _LABEL_MODES:
        raise ValueError(f"label_mode must be one of {', '.join(map(repr, _LABEL_MODES))}; got {label_mode!r}.")
    check_format(format)
    if labels is None or label_mode is None:
        labels = label_mode = None
    _check_split(validation_split, subset, shuffle, seed)
    drawn = int(np.random.randint(10**6)) if seed is None else seed  # noqa: NPY002 (seeded by set_random_seed)
    paths, numbers, classes = _indexed(os.fspath(directory), labels, endings, class_names, follow_links, verbose)
    if label_mode == "binary" and len(classes or ()) != 2:
        raise ValueError(f"label_mode='binary' needs two classes; got {classes}.")
    if shuffle:
        order = np.arange(len(paths))
        np.random.RandomState(drawn).shuffle(order)
        paths = [paths[i] for i in order]
        numbers = None if numbers is None else numbers[order]

    def part(name: str | None) -> SampleDataset:
        held_out = int(validation_split * len(paths)) if validation_split else 0
        chosen = {"training": slice(None, -held_out), "validation": slice(-held_out, None)}.get(name or "", slice(None))
        own = paths[chosen]
        if not own:
            kind = f"{name} {what}" if subset == "both" else what
            raise ValueError(f"No {kind} found in directory {directory}. Allowed formats: {', '.join(endings)}.")
        if verbose and name:
            config.show(f"Using {len(own)} files for {name}.")
        targets = None if numbers is None else _encoded(numbers[chosen], label_mode, len(classes or ()))
        # What is held out is the same in every pass.
        again = shuffle and not (name == "validation" and subset == "both")
        dataset: Any = SampleDataset(_Files(read, own, targets), len(own), batch_size, again, drawn)
        dataset.class_names, dataset.file_paths = classes, own
        return dataset

    return [part("training"), part("validation")] if subset == "both" else part(subset)


def _check_split(validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1; got {validation_split}.")
    if bool(validation_split) != bool(subset):
        raise ValueError(
            f"validation_split and subset belong together; got validation_split={validation_split}, subset={subset!r}."
        )
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f"subset must be 'training', 'validation' or 'both'; got {subset!r}.")
    if validation_split and shuffle and seed is None:
        raise ValueError("validation_split with shuffle=True needs a seed, so that the two parts share no file.")


def _indexed(
    directory: str,
    labels: Any,
    endings: tuple[str, ...],
    class_names: Sequence[str] | None,
    follow_links: bool,
    verbose: bool,
) -> tuple[list[str], np.ndarray[Any, Any] | None, list[str] | None]:
    """Paths, the numbers of their classes, and the names of these."""
    if labels != "inferred":
        if class_names is not None:
            raise ValueError("class_names can only be given where labels='inferred'.")
        paths = _files(directory, endings, follow_links)
        if labels is None:
            if verbose:
                config.show(f"Found {len(paths)} files.")
            return paths, None, None
        if len(labels) != len(paths):
            raise ValueError(f"labels must be one for each file; got {len(labels)} for {len(paths)} in {directory}.")
        classes, numbers = [str(label) for label in sorted(set(labels))], list(labels)
    else:
        known = sorted(
            name
            for name in os.listdir(directory)
            if os.path.isdir(os.path.join(directory, name)) and not name.startswith(".")
        )
        if class_names is not None and not set(class_names) <= set(known):
            raise ValueError(f"class_names must be names of subfolders, {known}; got {list(class_names)}.")
        classes = known if class_names is None else list(class_names)
        paths, numbers = [], []
        for number, name in enumerate(classes):
            found = _files(os.path.join(directory, name), endings, follow_links)
            paths += found
            numbers += [number] * len(found)
    if verbose:
        config.show(f"Found {len(paths)} files belonging to {len(classes)} classes.")
    return paths, np.asarray(numbers, np.int32), classes


def _files(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    return [
        os.path.join(root, name)
        for root, _, names in sorted(os.walk(folder, followlinks=follow_links))
        for name in sorted(names)
        if name.lower().endswith(endings)
    ]


def _encoded(numbers: np.ndarray[Any, Any], label_mode: str | None, classes: int) -> np.ndarray[Any, Any]:
    if label_mode == "categorical":
        return (numbers[:, None] == np.arange(classes)).astype(np.float32)
    return numbers.astype(np.float32)[:, None] if label_mode == "binary" else numbers
