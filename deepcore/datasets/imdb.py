"""IMDB: 50,000 film reviews as word numbers, liked or not (Maas et al. 2011, Learning Word Vectors)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from deepcore.datasets.words import limited, marked, place_of, shuffled, texts_of, word_index

FILE = "imdb.npz"
SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
INDEX = "imdb_word_index.json"
INDEX_MD5 = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str | os.PathLike[str] = FILE,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> Any:
    """Load IMDB, as ``keras.datasets.imdb.load_data`` does; no part of the file is executed.

    Args:
        path: the published file, downloaded on first use, or a file on disk with ``x_train`` and so on.
        num_words: words of this number and above are replaced; None for all words but the last.
        skip_top: words below this number are replaced, too.
        maxlen: texts of this length and above are left out.
        seed: of the order.
        start_char: the mark of the start; None for none.
        oov_char: what replaces a word; None to leave it out.
        index_from: added to each word's number.

    Returns ``(x_train, y_train), (x_test, y_test)``: arrays of lists of integers, and labels int64, 1 for liked.
    Raises ``ValueError`` if ``maxlen`` leaves nothing, ``CorruptedFileError`` for a damaged file.
    """
    x_train, y_train, x_test, y_test = texts_of(
        place_of(path, FILE, SHA256), ("x_train", "y_train", "x_test", "y_test")
    )
    parts = [shuffled(x, y, seed) for x, y in ((x_train, y_train), (x_test, y_test))]
    (x_train, y_train), (x_test, y_test) = [marked(x, y, maxlen, start_char, index_from) for x, y in parts]
    texts = limited(x_train + x_test, num_words, skip_top, oov_char)
    return (texts[: len(x_train)], np.asarray(y_train)), (texts[len(x_train) :], np.asarray(y_test))


def get_word_index(path: str | os.PathLike[str] = INDEX) -> dict[str, int]:
    """Word -> number, before ``index_from`` is added; downloaded on first use."""
    return word_index(path, INDEX, INDEX_MD5)
