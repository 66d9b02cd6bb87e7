"""IMDB, Reuters and the housing tables, from small files of the same form as the published ones."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from deepcore.datasets import boston_housing, california_housing, imdb, reuters, words
from deepcore.errors import CorruptedFileError

TEXTS = [[1, 2, 9], [3], [4, 5, 6, 7], [8, 1]]


def ragged(texts):
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def order(size, seed):
    places = np.arange(size)
    np.random.RandomState(seed).shuffle(places)
    return places


@pytest.fixture
def reviews(tmp_path):
    path = tmp_path / "reviews.npz"
    np.savez(path, x_train=ragged(TEXTS), y_train=[0, 1, 0, 1], x_test=ragged(TEXTS[::-1]), y_test=[1, 0, 1, 0])
    return path


def test_words_are_moved_marked_and_shuffled_with_their_labels(reviews):
    (x_train, y_train), (x_test, y_test) = imdb.load_data(reviews, num_words=100, seed=5)
    places = order(4, 5)
    assert list(x_train) == [[1, *(word + 3 for word in TEXTS[i])] for i in places]
    assert list(x_test) == [[1, *(word + 3 for word in TEXTS[::-1][i])] for i in places]
    np.testing.assert_array_equal(y_train, np.array([0, 1, 0, 1])[places])
    np.testing.assert_array_equal(y_test, np.array([1, 0, 1, 0])[places])


def test_rare_and_frequent_words_are_replaced_or_left_out(reviews):
    options = {"start_char": None, "index_from": None, "num_words": 7, "skip_top": 2}
    replaced = imdb.load_data(reviews, oov_char=0, **options)[0][0]
    dropped = imdb.load_data(reviews, oov_char=None, **options)[0][0]
    places = order(4, 113)
    assert list(replaced) == [[word if 2 <= word < 7 else 0 for word in TEXTS[i]] for i in places]
    assert list(dropped) == [[word for word in TEXTS[i] if 2 <= word < 7] for i in places]


def test_long_texts_are_left_out_with_their_labels(reviews):
    (x_train, y_train), _ = imdb.load_data(reviews, maxlen=4, num_words=100)
    kept = [i for i in order(4, 113) if len(TEXTS[i]) + 1 < 4]
    assert [len(x) for x in x_train] == [len(TEXTS[i]) + 1 for i in kept]
    np.testing.assert_array_equal(y_train, [i % 2 for i in kept])
    with pytest.raises(ValueError, match="maxlen=1"):
        imdb.load_data(reviews, maxlen=1)


def test_newswires_are_cut_in_two(tmp_path):
    np.savez(tmp_path / "wires.npz", x=ragged(TEXTS), y=[10, 11, 12, 13])
    (x_train, y_train), (x_test, y_test) = reuters.load_data(tmp_path / "wires.npz", test_split=0.25, num_words=100)
    places = order(4, 113)
    assert [*x_train, *x_test] == [[1, *(word + 3 for word in TEXTS[i])] for i in places]
    np.testing.assert_array_equal(y_train, 10 + places[:3])
    np.testing.assert_array_equal(y_test, 10 + places[3:])


class Hostile:
    def __reduce__(self):
        return (eval, ("open('executed', 'w')",))


def test_a_hostile_file_is_refused_and_nothing_of_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("bad.npz", x=np.array([Hostile(), [1]], dtype=object), y=[0, 1])
    with pytest.raises(CorruptedFileError, match="Nothing was executed"):
        reuters.load_data("./bad.npz")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("text", [["a"], [1.5], (1, 2)])
def test_only_lists_of_integers_are_texts(tmp_path, text):
    np.savez(tmp_path / "bad.npz", x=ragged([text, [1]]), y=[0, 1])
    with pytest.raises(CorruptedFileError, match="not a list of integers"):
        reuters.load_data(tmp_path / "bad.npz")


def test_a_word_index_is_downloaded_once_and_verified(host, cached, monkeypatch):
    content = json.dumps({"the": 1, "film": 2}).encode()
    host.files[imdb.INDEX] = content
    monkeypatch.setattr(words, "HOST", f"{host.url}/")
    monkeypatch.setattr(imdb, "INDEX_MD5", hashlib.md5(content).hexdigest())
    assert imdb.get_word_index() == imdb.get_word_index() == {"the": 1, "film": 2}
    assert len(host.requests) == 1
    monkeypatch.setattr(imdb, "INDEX_MD5", "0" * 32)
    with pytest.warns(UserWarning, match="expected MD5"), pytest.raises(CorruptedFileError):
        imdb.get_word_index()


@pytest.mark.parametrize("dataset", [boston_housing, california_housing])
def test_tables_are_shuffled_and_cut(tmp_path, dataset):
    x, y = np.arange(30.0).reshape(10, 3), np.arange(10.0)
    np.savez(tmp_path / "table.npz", x=x, y=y)
    (x_train, y_train), (x_test, y_test) = dataset.load_data(path=tmp_path / "table.npz", seed=3)
    places = order(10, 3)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), x[places])
    np.testing.assert_array_equal(y_train, y[places[:8]])
    np.testing.assert_array_equal(y_test, y[places[8:]])
    with pytest.raises(ValueError, match="test_split"):
        dataset.load_data(path=tmp_path / "table.npz", test_split=1.0)


def test_the_small_table_is_the_beginning_of_the_large_one(tmp_path):
    np.savez(tmp_path / "table.npz", x=np.arange(700.0)[:, None], y=np.arange(700.0))
    (_, y_train), (_, y_test) = california_housing.load_data("small", tmp_path / "table.npz")
    np.testing.assert_array_equal(np.sort(np.concatenate([y_train, y_test])), np.arange(600))
    with pytest.raises(ValueError, match="'small' or 'large'"):
        california_housing.load_data("huge", tmp_path / "table.npz")


def test_a_path_that_is_not_there_is_refused(cached):
    with pytest.raises(FileNotFoundError, match="downloaded on first use"):
        imdb.load_data("elsewhere.npz")
