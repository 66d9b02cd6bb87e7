"""Data sets of series, of arrays in two parts, and of the files in folders; all files are made here."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

import deepcore
from deepcore import layers, ops
from deepcore.preprocessing.image import smart_resize
from deepcore.utils import (
    image_dataset_from_directory,
    split_dataset,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)


def rows(dataset):
    return [np.asarray(part).tolist() for part in dataset]


# Series


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize(("stride", "rate"), [(1, 1), (2, 3)])
@pytest.mark.parametrize(("start", "end"), [(None, None), (2, 15)])
def test_windows_over_a_series(rng, length, stride, rate, start, end):
    data, targets = rng.standard_normal((17, 2)), rng.integers(0, 9, 17)
    expected_x, expected_y = [], []
    first = start or 0
    while first + (length - 1) * rate < (end or 17):
        expected_x.append([data[first + step * rate] for step in range(length)])
        expected_y.append(targets[first])
        first += stride
    dataset = timeseries_dataset_from_array(
        data, targets, length, stride, rate, batch_size=4, start_index=start, end_index=end
    )
    batches = list(dataset)
    assert len(dataset) == len(batches) == -(-len(expected_x) // 4)
    np.testing.assert_array_equal(np.concatenate([np.asarray(x) for x, _ in batches]), np.array(expected_x))
    np.testing.assert_array_equal(np.concatenate([np.asarray(y) for _, y in batches]), np.array(expected_y))


def test_windows_without_targets_and_without_batches():
    assert rows(timeseries_dataset_from_array(np.arange(5), None, 3)) == [[[0, 1, 2], [1, 2, 3], [2, 3, 4]]]
    single = timeseries_dataset_from_array([0, 1, 2, 3], [5, 6], 2, batch_size=None)
    assert [(x.tolist(), int(y)) for x, y in single] == [([0, 1], 5), ([1, 2], 6)]


def test_windows_in_random_order():
    def drawn(seed):
        dataset = timeseries_dataset_from_array(np.arange(40), np.arange(40), 2, shuffle=True, seed=seed, batch_size=50)
        return [[int(first) for first in y] for _ in range(2) for _, y in dataset]

    once, again = drawn(3)
    assert sorted(once) == sorted(again) == list(range(39))
    assert once != again
    assert once != sorted(once)
    assert drawn(3) == [once, again]
    assert drawn(4)[0] != once


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start_index": -1}, "start_index must be from 0 to 9; got -1"),
        ({"start_index": 10}, "start_index must be from 0 to 9; got 10"),
        ({"end_index": 10}, "end_index must be .*less than 10; got 10"),
        ({"start_index": 5, "end_index": 5}, "greater than start_index=5"),
        ({"sampling_rate": 0}, "sampling_rate must be from 1 to 9; got 0"),
        ({"sequence_stride": 10}, "sequence_stride must be from 1 to 9; got 10"),
        ({"format": "csv"}, "format must be 'tf' or 'grain'.*got 'csv'"),
    ],
)
def test_windows_outside_of_the_series(options, said):
    with pytest.raises(ValueError, match=said):
        timeseries_dataset_from_array(np.arange(10), None, 2, **options)


def test_a_model_learns_from_windows():
    series = np.arange(64, dtype=np.float32) / 64
    dataset = timeseries_dataset_from_array(series[:-4], series[4:], 4, batch_size=16, shuffle=True, seed=1)
    model = deepcore.Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile(deepcore.optimizers.Adam(0.05), "mse")
    history = model.fit(dataset, epochs=15, verbose=0).history["loss"]
    assert history[-1] < history[0] / 10


# Two parts


def test_split_of_an_array_and_of_several():
    left, right = split_dataset(np.arange(10), left_size=0.7)
    assert (rows(left), rows(right)) == ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9])
    left, right = split_dataset((np.arange(8).reshape(4, 2), [5, 6, 7, 8]), left_size=1, right_size=2)
    assert [(x.tolist(), int(y)) for x, y in left] == [([0, 1], 5)]
    assert [(x.tolist(), int(y)) for x, y in right] == [([2, 3], 6), ([4, 5], 7)]
    assert [[part.tolist() for part in batch] for batch in right.batch(2)] == [[[[2, 3], [4, 5]], [6, 7]]]


@pytest.mark.parametrize(
    ("sizes", "counts"), [((0.5, None), (5, 5)), ((None, 3), (7, 3)), ((2, 0.5), (2, 5)), ((None, 0.26), (7, 3))]
)
def test_sizes_of_a_split(sizes, counts):
    left, right = split_dataset(np.arange(10), *sizes)
    assert (len(left), len(right)) == counts


def test_split_in_random_order():
    expected = list(range(20))
    random.Random(7).shuffle(expected)
    left, right = split_dataset(np.arange(20), left_size=15, shuffle=True, seed=7)
    assert rows(left) + rows(right) == expected


def test_split_of_a_data_set_keeps_its_batches():
    source = timeseries_dataset_from_array(np.arange(11), np.arange(11), 2, batch_size=3)
    left, right = split_dataset(source, right_size=4)
    assert [y.tolist() for _, y in left] == [[0, 1, 2], [3, 4, 5]]
    assert [y.tolist() for _, y in right] == [[6, 7, 8], [9]]
    single, _ = split_dataset(timeseries_dataset_from_array(np.arange(4), None, 2, batch_size=None), left_size=2)
    assert rows(single) == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("dataset", "sizes", "kind", "said"),
    [
        (5, (1, None), TypeError, r"dataset must be an array.*got 5 \(int\)"),
        (np.arange(4), (None, None), ValueError, "at least one of left_size and right_size"),
        (np.arange(4), ("1", None), TypeError, "left_size must be a whole number.*got '1'"),
        (np.arange(4), (None, True), TypeError, "right_size must be a whole number.*got True"),
        (np.arange(4), (4, None), ValueError, "left_size must be a whole number from 1 to 3.*got 4"),
        (np.arange(4), (None, 1.0), ValueError, "right_size .*a float between 0 and 1; got 1.0"),
        (np.arange(4), (-1, None), ValueError, "left_size must be .*got -1"),
        (np.arange(4), (0.6, 0.6), ValueError, r"not be more than 1 together; got 0.6 \+ 0.6"),
        (np.arange(4), (3, 3), ValueError, r"are 3 \+ 3 samples, of a data set of 4"),
        (np.arange(4), (0.01, None), ValueError, "leave one part empty"),
        ([np.arange(4), np.arange(3)], (1, None), ValueError, r"as many samples each; got shapes \[\(4,\), \(3,\)\]"),
        ([], (1, None), ValueError, "must have some"),
    ],
)
def test_what_cannot_be_split(dataset, sizes, kind, said):
    with pytest.raises(kind, match=said):
        split_dataset(dataset, *sizes)


def test_the_first_batches_and_changed_ones():
    dataset = timeseries_dataset_from_array(np.arange(9), np.arange(9), 2, batch_size=2)
    changed = dataset.map(lambda x, y: (x * 10, y)).take(2)
    assert len(changed) == 2
    assert [x.tolist() for x, _ in changed] == [[[0, 10], [10, 20]], [[20, 30], [30, 40]]]
    assert len(dataset.take(99)) == len(dataset) == 4
    with pytest.raises(IndexError, match="has 4 batches; got index 4"):
        dataset[4]


# Folders


@pytest.fixture
def pictures(tmp_path, rng):
    """Pictures of two classes, and files that are none; gives folder, path -> pixels."""
    found = {}
    for place, shape in {
        "cats/b.png": (6, 4, 3),
        "cats/a.bmp": (8, 8, 3),
        "cats/old/c.PNG": (4, 4, 3),
        "dogs/d.png": (5, 5, 3),
        ".hidden/e.png": (5, 5, 3),
    }.items():
        path = tmp_path / "pictures" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(path)
        found[str(path)] = pixels
    (tmp_path / "pictures" / "cats" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures", found


def test_pictures_and_labels_of_a_folder(pictures, capsys):
    folder, pixels = pictures
    dataset = image_dataset_from_directory(folder, image_size=(4, 4), shuffle=False, batch_size=3)
    assert capsys.readouterr().out == "Found 4 files belonging to 2 classes.\n"
    names = ["cats/a.bmp", "cats/b.png", "cats/old/c.PNG", "dogs/d.png"]
    assert dataset.file_paths == [str(folder / name) for name in names]
    assert dataset.class_names == ["cats", "dogs"]
    (x, y), (x_last, y_last) = dataset
    assert (x.dtype, y.dtype, x.shape, x_last.shape) == (np.float32, np.int32, (3, 4, 4, 3), (1, 4, 4, 3))
    assert y.tolist() + y_last.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(x.numpy()[2], pixels[dataset.file_paths[2]])  # has that size already
    # Bilinear without antialiasing: 8 -> 4 takes the mean of the two pixels in the middle of each four.
    large = pixels[dataset.file_paths[0]].astype(np.float64)
    np.testing.assert_allclose(
        x.numpy()[0], (large[::2, ::2] + large[1::2, ::2] + large[::2, 1::2] + large[1::2, 1::2]) / 4, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("label_mode", "expected", "dtype"),
    [
        ("int", [0, 0, 0, 1], "int32"),
        ("binary", [[0], [0], [0], [1]], "float32"),
        ("categorical", [[1, 0], [1, 0], [1, 0], [0, 1]], "float32"),
    ],
)
def test_labels(pictures, label_mode, expected, dtype):
    dataset = image_dataset_from_directory(
        pictures[0], label_mode=label_mode, image_size=4, shuffle=False, verbose=False
    )
    ((_, y),) = dataset
    assert (y.tolist(), y.dtype) == (expected, dtype)


def test_other_classes_and_labels(pictures):
    folder, _ = pictures
    some = image_dataset_from_directory(folder, class_names=["dogs"], image_size=4, verbose=False)
    assert (len(some.file_paths), some.class_names) == (1, ["dogs"])
    turned = image_dataset_from_directory(
        folder, class_names=["dogs", "cats"], image_size=4, shuffle=False, verbose=False, batch_size=None
    )
    assert [int(y) for _, y in turned] == [0, 1, 1, 1]
    own = image_dataset_from_directory(
        folder / "cats", labels=[7, 5, 7], image_size=4, shuffle=False, verbose=False, batch_size=9
    )
    assert own.class_names == ["5", "7"]
    ((_, y),) = own
    assert y.tolist() == [7, 5, 7]
    (x,) = image_dataset_from_directory(folder / "cats", labels=None, image_size=4, verbose=False)
    assert x.shape == (3, 4, 4, 3)


def test_channels_and_layouts(pictures):
    folder, pixels = pictures
    options = {"image_size": (4, 4), "shuffle": False, "verbose": False, "label_mode": None}
    (rgb,) = image_dataset_from_directory(folder / "cats", **options)
    (first,) = image_dataset_from_directory(folder / "cats", data_format="channels_first", **options)
    np.testing.assert_allclose(first.numpy(), rgb.numpy().transpose(0, 3, 1, 2), rtol=1e-6)
    (grey,) = image_dataset_from_directory(folder / "cats", color_mode="grayscale", **options)
    (rgba,) = image_dataset_from_directory(folder / "cats", color_mode="rgba", **options)
    assert (grey.shape, rgba.shape) == ((3, 4, 4, 1), (3, 4, 4, 4))
    assert (rgba.numpy()[..., 3] == 255).all()
    weighted = pixels[str(folder / "cats/old/c.PNG")] @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    np.testing.assert_allclose(grey.numpy()[2, ..., 0], weighted, atol=1)


def test_proportions_are_kept_where_asked(pictures):
    folder, pixels = pictures
    options = {"image_size": (4, 4), "shuffle": False, "verbose": False, "labels": None, "interpolation": "nearest"}
    high = pixels[str(folder / "cats/b.png")]  # [6, 4, 3]
    (cropped,) = image_dataset_from_directory(folder / "cats", crop_to_aspect_ratio=True, **options)
    np.testing.assert_array_equal(cropped.numpy()[1], high[1:5])
    (padded,) = image_dataset_from_directory(folder / "cats", pad_to_aspect_ratio=True, **options)
    assert (padded.numpy()[1][:, [0, -1]] == 0).all()
    with pytest.raises(ValueError, match="Only one of crop_to_aspect_ratio and pad_to_aspect_ratio"):
        image_dataset_from_directory(folder, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)


@pytest.fixture
def texts(tmp_path):
    for name, count in (("neg", 6), ("pos", 4)):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "texts" / name / f"{i}.txt").write_text(f"{name} {i} é", encoding="utf-8")
    return tmp_path / "texts"


def test_texts_of_a_folder(texts):
    ((x, y),) = text_dataset_from_directory(texts, shuffle=False, verbose=False)
    assert x == [f"neg {i} é" for i in range(6)] + [f"pos {i} é" for i in range(4)]
    assert y.tolist() == [0] * 6 + [1] * 4
    ((short, _),) = text_dataset_from_directory(texts, max_length=2, shuffle=False, verbose=False)
    assert set(short) == {"ne", "po"}
    single = text_dataset_from_directory(texts, labels=None, batch_size=None, shuffle=False, verbose=False)
    assert next(iter(single)) == "neg 0 é"


def test_files_in_random_order(texts):
    dataset = text_dataset_from_directory(texts, seed=5, verbose=False, batch_size=10)
    ((once, labels),), ((again, _),) = list(dataset), list(dataset)
    assert sorted(once) == sorted(again)
    assert once != again
    assert [int(text.startswith("pos")) for text in once] == labels.tolist()
    # The order of the paths is that of NumPy's legacy generator, as in Keras.
    order = np.arange(10)
    np.random.RandomState(5).shuffle(order)
    paths = [str(texts / "neg" / f"{i}.txt") for i in range(6)] + [str(texts / "pos" / f"{i}.txt") for i in range(4)]
    assert dataset.file_paths == [paths[i] for i in order]


def test_training_and_validation(texts, capsys):
    options = {"validation_split": 0.3, "seed": 2}
    training, validation = text_dataset_from_directory(texts, subset="both", **options)
    assert capsys.readouterr().out.splitlines() == [
        "Found 10 files belonging to 2 classes.",
        "Using 7 files for training.",
        "Using 3 files for validation.",
    ]
    assert (len(training.file_paths), len(validation.file_paths)) == (7, 3)
    assert len({*training.file_paths, *validation.file_paths}) == 10
    alone = text_dataset_from_directory(texts, subset="validation", verbose=False, **options)
    assert alone.file_paths == validation.file_paths
    assert [next(iter(validation))[0] for _ in range(2)] == [next(iter(validation))[0]] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "all"}, "labels must be 'inferred', None, or a list.*got 'all'"),
        ({"labels": [0, 1], "class_names": ["neg"]}, "class_names can only be given"),
        ({"labels": None, "class_names": ["neg"]}, "class_names can only be given"),
        ({"labels": [0, 1]}, "labels must be one for each file; got 2 for 10"),
        ({"label_mode": "one-hot"}, "label_mode must be one of.*got 'one-hot'"),
        ({"label_mode": "binary", "class_names": ["neg"]}, r"needs two classes; got \['neg'\]"),
        ({"class_names": ["neutral"]}, r"names of subfolders, \['neg', 'pos'\]; got \['neutral'\]"),
        ({"validation_split": 1.5, "subset": "both"}, "between 0 and 1; got 1.5"),
        ({"validation_split": 0.5}, "belong together"),
        ({"subset": "training"}, "belong together"),
        ({"validation_split": 0.5, "subset": "test", "seed": 1}, "'training', 'validation' or 'both'; got 'test'"),
        ({"validation_split": 0.5, "subset": "both"}, "needs a seed"),
        ({"validation_split": 0.01, "subset": "both", "seed": 1}, "No training text files found"),
        ({"format": "csv"}, "format must be 'tf' or 'grain'"),
    ],
)
def test_what_is_refused_of_a_folder(texts, options, said):
    with pytest.raises(ValueError, match=said):
        text_dataset_from_directory(texts, verbose=False, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"color_mode": "cmyk"}, "color_mode must be one of grayscale, rgb, rgba; got 'cmyk'"),
        ({"image_size": (4, 4, 3)}, r"image_size must be \(height, width\)"),
        ({"interpolation": "area"}, "interpolation must be one of .*got 'area'"),
        ({"data_format": "NCHW"}, "data_format must be"),
        ({}, r"No images found .*\.bmp, \.gif"),
    ],
)
def test_what_is_refused_of_pictures(texts, options, said):
    with pytest.raises(ValueError, match=said):
        image_dataset_from_directory(texts, verbose=False, **options)


def test_a_model_learns_from_pictures(tmp_path):
    for name, level in (("dark", 30), ("light", 220)):
        (tmp_path / name).mkdir()
        for i in range(8):
            Image.fromarray(np.full((4, 4), level + i, np.uint8)).save(tmp_path / name / f"{i}.png")
    dataset = image_dataset_from_directory(
        tmp_path, label_mode="binary", color_mode="grayscale", image_size=(4, 4), batch_size=4, seed=1, verbose=False
    )
    model = deepcore.Sequential(
        [layers.Input((4, 4, 1)), layers.Rescaling(1 / 128, -1), layers.Flatten(), layers.Dense(1, "sigmoid")]
    )
    model.compile(deepcore.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    model.fit(dataset, epochs=8, verbose=0)
    assert model.evaluate(dataset, verbose=0, return_dict=True)["accuracy"] == 1


def test_smart_resize(rng):
    picture = rng.standard_normal((4, 8, 2)).astype(np.float32)
    middle = picture[:, 2:6]
    resized = smart_resize(picture, (2, 2))
    assert isinstance(resized, np.ndarray)
    expected = (middle[::2, ::2] + middle[1::2, ::2] + middle[::2, 1::2] + middle[1::2, 1::2]) / 4
    np.testing.assert_allclose(resized, expected, rtol=1e-5, atol=1e-6)
    tensor = smart_resize(ops.convert_to_tensor(picture[None]), (2, 2))
    np.testing.assert_allclose(tensor.numpy(), expected[None], rtol=1e-5, atol=1e-6)
    for x, size, said in ((picture, (2,), "height, width"), (picture[0], (2, 2), "rank 3 or 4")):
        with pytest.raises(ValueError, match=said):
            smart_resize(x, size)
