"""Texts as sequences of word numbers: what IMDB and Reuters share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.datasets.cache import cache_folder, fetch
from deepcore.datasets.inert_pickle import read_ragged_npz
from deepcore.errors import CorruptedFileError

HOST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def place_of(path: str | os.PathLike[str], name: str, sha256: str) -> Path:
    """The file that ``path`` means: one on disk, or by its bare name one of the cache, downloaded on first use.

    Raises ``FileNotFoundError`` if it is neither.
    """
    if os.fspath(path) == name:
        return fetch(name, [HOST + name], sha256)
    for place in (Path(path).expanduser(), cache_folder() / path):
        if place.is_file():
            return place
    raise FileNotFoundError(f"path={os.fspath(path)!r} does not exist. {name!r} is downloaded on first use.")


def shuffled(xs: Any, ys: Any, seed: int) -> tuple[Any, Any]:
    """Both in the order that ``seed`` gives, which is Keras's for the same seed."""
    order = np.arange(len(xs))
    np.random.RandomState(seed).shuffle(order)
    return ([xs[i] for i in order] if isinstance(xs, list) else xs[order]), ys[order]


def marked(
    xs: list[list[int]], ys: Any, maxlen: int | None, start_char: int | None, index_from: int | None
) -> tuple[list[list[int]], Any]:
    """Words counted from ``index_from``, after the mark of the start; texts of ``maxlen`` words and more left out."""
    head = [] if start_char is None else [start_char]
    moved = [head + [word + (index_from or 0) for word in text] for text in xs]
    if not maxlen:
        return moved, ys
    kept = [i for i, text in enumerate(moved) if len(text) < maxlen]
    if not kept:
        raise ValueError(f"No text is shorter than maxlen={maxlen}; pass a larger one.")
    return [moved[i] for i in kept], ys[kept]


def limited(xs: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> Any:
    """Words outside ``skip_top <= word < num_words`` replaced by ``oov_char``, or left out if that is None."""
    top = num_words or max(max(text, default=0) for text in xs)
    texts = np.empty(len(xs), dtype=object)
    for i, text in enumerate(xs):
        if oov_char is None:
            texts[i] = [word for word in text if skip_top <= word < top]
        else:
            texts[i] = [word if skip_top <= word < top else oov_char for word in text]
    return texts


def texts_of(path: Path, names: tuple[str, ...]) -> list[Any]:
    """Texts and labels of a file, nothing of it executed."""
    return read_ragged_npz(path, names)


def word_index(path: str | os.PathLike[str], name: str, md5: str) -> dict[str, int]:
    """The numbers of words, most frequent first, from 1; the published file is known by its MD5 sum."""
    if os.fspath(path) != name:
        place = next((p for p in (Path(path).expanduser(), cache_folder() / path) if p.is_file()), None)
        if place is None:
            raise FileNotFoundError(f"path={os.fspath(path)!r} does not exist. {name!r} is downloaded on first use.")
    else:
        place = fetch(name, [HOST + name], md5, algorithm="md5")
    try:
        return dict(json.loads(place.read_text(encoding="utf-8")))
    except ValueError as error:
        raise CorruptedFileError(f"{place} is not a word index in JSON: {error}.") from error
