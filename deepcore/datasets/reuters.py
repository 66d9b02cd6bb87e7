"""Reuters: 11,228 newswires as word numbers, of 46 topics (Lewis, Reuters-21578)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from deepcore.datasets.words import limited, marked, place_of, shuffled, texts_of, word_index

FILE = "reuters.npz"
SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
INDEX = "reuters_word_index.json"
INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"
# The topics of Reuters-21578 by their numbers in the published file.
TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude
nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel rubber
heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead
"""


def load_data(
    path: str | os.PathLike[str] = FILE,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> Any:
    """Load Reuters, as ``keras.datasets.reuters.load_data`` does; no part of the file is executed.

    Args:
        path: the published file, downloaded on first use, or a file on disk with ``x`` and ``y``.
        test_split: the part of the texts, the last of the shuffled order, that is for tests.
        num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: as for ``imdb.load_data``.

    Returns ``(x_train, y_train), (x_test, y_test)``: arrays of lists of integers, and topics int64, 0 to 45.
    Raises ``ValueError`` if ``maxlen`` leaves nothing, ``CorruptedFileError`` for a damaged file.
    """
    xs, ys = texts_of(place_of(path, FILE, SHA256), ("x", "y"))
    xs, ys = shuffled(xs, ys, seed)
    xs, ys = marked(xs, ys, maxlen, start_char, index_from)
    texts, cut = limited(xs, num_words, skip_top, oov_char), int(len(xs) * (1 - test_split))
    return (texts[:cut], np.asarray(ys[:cut])), (texts[cut:], np.asarray(ys[cut:]))


def get_word_index(path: str | os.PathLike[str] = INDEX) -> dict[str, int]:
    """Word -> number, before ``index_from`` is added; downloaded on first use."""
    return word_index(path, INDEX, INDEX_MD5)


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, by their numbers.

    >>> get_label_names()[3]
    'earn'
    """
    return tuple(TOPICS.split())
