"""CIFAR-10 and CIFAR-100 in the forms that their authors give them, made small here; and hostile pickles."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from deepcore.datasets import cifar10, cifar100, reuters
from deepcore.errors import CorruptedFileError

NAMES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
COUNT = 4


def string(text: bytes) -> bytes:
    """A Python 2 ``str``: SHORT_BINSTRING or BINSTRING."""
    return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text


def python2_pickle(
    data: np.ndarray, labels: list[int], fortran: bool = False, dtype: bytes = b"u1", key: bytes = b"labels"
) -> bytes:
    """The opcodes that Python 2's cPickle, protocol 2, wrote for {"data": array, "labels": list, …}."""
    flag, raw = (b"\x88", data.tobytes("F")) if fortran else (b"\x89", data.tobytes())
    array_dtype = b"cnumpy\ndtype\n" + string(dtype) + b"K\0K\1\x87R(K\3" + string(b"|") + b"NNNJ" + b"\xff" * 4
    array_dtype += b"J" + b"\xff" * 4 + b"K\0tb"
    shape = b"".join(b"J" + struct.pack("<i", size) for size in data.shape)
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + string(b"b") + b"\x87R(K\1("
    array += shape + b"t" + array_dtype + flag + string(raw) + b"tb"
    label_list = b"](" + b"".join(b"J" + struct.pack("<i", label) for label in labels) + b"e"
    entries = string(b"batch_label") + string(b"a batch") + string(key) + label_list + string(b"data") + array
    return b"\x80\2}(" + entries + string(b"filenames") + b"](" + string(b"a.png") + b"eu."


@pytest.fixture
def batches(rng):
    """Name -> (pixels uint8 [n, 3072] in the authors' order, labels)."""
    return {
        name: (rng.integers(0, 256, (COUNT, 3072), np.uint8), rng.integers(0, 10, COUNT).tolist()) for name in NAMES
    }


def python_files(batches):
    return {name: python2_pickle(*batch) for name, batch in batches.items()}


def binary_files(batches):
    return {
        f"{name}.bin": b"".join(bytes([label]) + row.tobytes() for row, label in zip(data, labels, strict=True))
        for name, (data, labels) in batches.items()
    }


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "readme.html").write_bytes(b"not a batch")
    return folder


def write_tar(path, files, folder, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in {"readme.html": b"not a batch", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def image(row: np.ndarray) -> np.ndarray:
    """Pixel by pixel: 1024 reds, 1024 greens, 1024 blues, each row after row."""
    return np.array([[[row[1024 * c + 32 * i + j] for c in range(3)] for j in range(32)] for i in range(32)], np.uint8)


def assert_loaded(split, batches):
    (x_train, y_train), (x_test, y_test) = split
    train = [batches[name] for name in NAMES[:5]]
    expected_x = np.stack([image(row) for data, _ in train for row in data])
    expected_y = np.array([[label] for _, labels in train for label in labels], np.uint8)
    np.testing.assert_array_equal(x_train, expected_x, strict=True)
    np.testing.assert_array_equal(y_train, expected_y, strict=True)
    data, labels = batches["test_batch"]
    np.testing.assert_array_equal(x_test, np.stack([image(row) for row in data]), strict=True)
    np.testing.assert_array_equal(y_test, np.array(labels, np.uint8)[:, None], strict=True)
    for array in (x_train, y_train, x_test, y_test):
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_the_pickles_made_here_are_what_numpy_reads(batches):
    data, labels = batches["test_batch"]
    for fortran in (False, True):
        read = pickle.loads(python2_pickle(data, labels, fortran), encoding="bytes")
        np.testing.assert_array_equal(read[b"data"], data, strict=True)
        assert read[b"labels"] == labels


@pytest.mark.parametrize("make", [python_files, binary_files])
class TestForms:
    def test_folder(self, tmp_path, batches, make):
        assert_loaded(cifar10.load_data(path=write_folder(tmp_path / "any", make(batches))), batches)

    def test_folder_of_the_folder(self, tmp_path, batches, make):
        name = "cifar-10-batches-py" if make is python_files else "cifar-10-batches-bin"
        write_folder(tmp_path / name, make(batches))
        assert_loaded(cifar10.load_data(path=str(tmp_path)), batches)

    @pytest.mark.parametrize("mode", ["w:gz", "w"])
    def test_tar_in_any_order(self, tmp_path, batches, make, mode):
        files = dict(reversed(make(batches).items()))
        folder = "cifar-10-batches-py" if make is python_files else "cifar-10-batches-bin"
        path = write_tar(tmp_path / "archive", files, folder, mode)
        assert_loaded(cifar10.load_data(path=path), batches)
        assert [entry.name for entry in tmp_path.iterdir()] == ["archive"]

    def test_folder_of_the_tar(self, tmp_path, batches, make):
        version = "python" if make is python_files else "binary"
        folder = "cifar-10-batches-py" if make is python_files else "cifar-10-batches-bin"
        write_tar(tmp_path / f"cifar-10-{version}.tar.gz", make(batches), folder)
        assert_loaded(cifar10.load_data(path=tmp_path), batches)

    def test_a_missing_batch_is_named(self, tmp_path, batches, make):
        files = make(batches)
        suffix = ".bin" if make is binary_files else ""
        del files["data_batch_3" + suffix], files["test_batch" + suffix]
        with pytest.raises(FileNotFoundError, match=rf"lacks data_batch_3{suffix}, test_batch{suffix};"):
            cifar10.load_data(path=write_folder(tmp_path / "any", files))

    def test_a_label_above_9(self, tmp_path, batches, make):
        batches["data_batch_2"][1][1] = 10
        with pytest.raises(CorruptedFileError, match=r"data_batch_2.*label"):
            cifar10.load_data(path=write_folder(tmp_path / "any", make(batches)))


def test_fortran_order(tmp_path, batches):
    files = {name: python2_pickle(*batch, fortran=True) for name, batch in batches.items()}
    assert_loaded(cifar10.load_data(path=write_folder(tmp_path, files)), batches)


def test_download(host, cached, batches, tmp_path, monkeypatch):
    path = write_tar(tmp_path / "served.tar.gz", python_files(batches), "cifar-10-batches-py")
    host.files["served.tar.gz"] = content = path.read_bytes()
    monkeypatch.setattr(cifar10, "URLS", [f"{host.url}/served.tar.gz"])
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
    assert_loaded(cifar10.load_data(), batches)
    assert_loaded(cifar10.load_data(), batches)
    assert host.requests == [None]
    assert {entry.name for entry in cached.iterdir()} == {".lock", "cifar-10-python.tar.gz"}


class Payload:
    def __init__(self, call, *arguments):
        self.reduction = call, arguments

    def __reduce__(self):
        return self.reduction


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (lambda mark: Payload(os.system, f"touch {mark}"), "system"),
        (lambda mark: Payload(eval, f"open({mark!r}, 'w').close()"), "eval"),
        (lambda mark: Payload(np.save, mark, 1), "save"),
    ],
    ids=["os.system", "eval", "numpy.save"],
)
def test_a_hostile_pickle_executes_nothing(tmp_path, batches, protocol, payload, named):
    mark = str(tmp_path / "executed")
    hostile = pickle.dumps({"data": payload(mark), "labels": [1]}, protocol)
    if named != "save":  # prove that the pickle is armed
        pickle.loads(hostile)
        os.remove(mark)
    files = python_files(batches) | {"data_batch_4": hostile}
    with pytest.raises(CorruptedFileError, match=rf"data_batch_4 is not a CIFAR-10 batch.*names .*{named}.*executed"):
        cifar10.load_data(path=write_folder(tmp_path / "any", files))
    assert [entry.name for entry in tmp_path.iterdir()] == ["any"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\2",
        b"\x80\2}.",
        b"\x80\2N.",
        b"\x80\2](K\1e.",
        b"\x80\2}(" + string(b"data") + b"K\1u.",
        b"\x80\2cnumpy\nndarray\n)\x81.",
        b"\x80\2cnumpy\nndarray\n}(" + string(b"name") + string(b"os.system") + b"ub.",
        b"\x80\2cnumpy.core.multiarray\n_reconstruct\n.",
        b"\x80\2" + b"T\xff\xff\xff\x7f",
        b"\x80\2}(](K\1eK\1u.",
        b"Pu\n.",
    ],
)
def test_a_damaged_pickle_is_named(tmp_path, batches, content):
    files = python_files(batches) | {"test_batch": content}
    with pytest.raises(CorruptedFileError, match="test_batch is not a CIFAR-10 batch"):
        cifar10.load_data(path=write_folder(tmp_path, files))


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_truncated_pickle_is_named(tmp_path, batches, cut):
    files = python_files(batches)
    files["data_batch_5"] = files["data_batch_5"][:-cut]
    with pytest.raises(CorruptedFileError, match="data_batch_5 is not a CIFAR-10 batch"):
        cifar10.load_data(path=write_folder(tmp_path, files))


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (lambda data, labels: python2_pickle(data[:, :3071], labels), r"data is \[4, 3071\], expected \[n, 3072\]"),
        (lambda data, labels: python2_pickle(data.reshape(4, 3, 1024), labels), r"data is \[4, 3, 1024\]"),
        (lambda data, labels: python2_pickle(data, labels, dtype=b"f4"), "dtype b'f4'"),
        (lambda data, labels: python2_pickle(data, labels[:-1]), "4 images and 3 labels"),
        (lambda data, labels: python2_pickle(data, [-1, *labels[1:]]), "integers from 0 to 9"),
        (lambda data, labels: python2_pickle(data[:0], []), "0 images"),
    ],
)
def test_a_batch_of_another_shape_is_named(tmp_path, batches, batch, told):
    files = python_files(batches) | {"data_batch_1": batch(*batches["data_batch_1"])}
    with pytest.raises(CorruptedFileError, match=rf"data_batch_1.*{told}"):
        cifar10.load_data(path=write_folder(tmp_path, files))


def test_a_binary_batch_of_broken_length_is_named(tmp_path, batches):
    files = binary_files(batches)
    files["data_batch_2.bin"] += b"x"
    with pytest.raises(CorruptedFileError, match=r"data_batch_2.bin has 12293 bytes.*3073"):
        cifar10.load_data(path=write_folder(tmp_path, files))


def test_a_batch_far_too_large_is_not_read(tmp_path, batches, monkeypatch):
    monkeypatch.setattr(cifar10, "FORM", replace(cifar10.FORM, limit=10_000))
    folder = write_folder(tmp_path / "any", python_files(batches))
    archive = write_tar(tmp_path / "archive", python_files(batches), "cifar-10-batches-py")
    for path in (folder, archive):
        with pytest.raises(CorruptedFileError, match="at most 10000"):
            cifar10.load_data(path=path)


@pytest.mark.parametrize("damage", ["truncated", "checksum", "not tar", "cut tar"])
def test_a_damaged_archive_is_named(tmp_path, batches, damage):
    mode = "w" if damage == "cut tar" else "w:gz"
    path = write_tar(tmp_path / "archive", python_files(batches), "cifar-10-batches-py", mode)
    content = bytearray(path.read_bytes())
    if damage == "checksum":
        content[-8] ^= 1
    path.write_bytes(b"nothing of the kind" * 100 if damage == "not tar" else content)
    if damage in ("truncated", "cut tar"):
        path.write_bytes(content[: len(content) // 3])
    with pytest.raises(CorruptedFileError, match="archive"):
        cifar10.load_data(path=path)


def test_only_regular_members_of_the_expected_names_are_read(tmp_path, batches):
    path = tmp_path / "archive"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in python_files(batches).items():
            member = tarfile.TarInfo(f"../cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(FileNotFoundError, match="lacks data_batch_1,"):
        cifar10.load_data(path=path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["archive"]


def test_a_wrong_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.*does not exist.*cifar-10-python.tar.gz"):
        cifar10.load_data(path=tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="holds no CIFAR-10 batch"):
        cifar10.load_data(path=tmp_path)


@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize(("label_mode", "classes"), [("fine", 100), ("coarse", 20)])
def test_cifar100_has_two_kinds_of_labels(tmp_path, rng, form, label_mode, classes):
    sizes, files, expected = {"train": 5, "test": 3}, {}, {}
    for name, size in sizes.items():
        data = rng.integers(0, 256, (size, 3072), np.uint8)
        labels = {"fine": [99, *rng.integers(0, 100, size - 1)], "coarse": [19, *rng.integers(0, 20, size - 1)]}
        expected[name] = np.stack([image(row) for row in data]), np.array(labels[label_mode], np.uint8)[:, None]
        if form == "python":
            chosen = [int(label) for label in labels[label_mode]]
            files[name] = python2_pickle(data, chosen, key=f"{label_mode}_labels".encode())
        else:
            files[f"{name}.bin"] = b"".join(
                bytes([int(labels["coarse"][i]), int(labels["fine"][i])]) + row.tobytes() for i, row in enumerate(data)
            )
    write_tar(tmp_path / f"cifar-100-{form}.tar.gz", files, f"cifar-100-{form}")
    train, test = cifar100.load_data(label_mode, path=tmp_path)
    for found, name in ((train, "train"), (test, "test")):
        np.testing.assert_array_equal(found[0], expected[name][0], strict=True)
        np.testing.assert_array_equal(found[1], expected[name][1], strict=True)


def test_cifar100_refuses_other_labels(tmp_path, rng):
    with pytest.raises(ValueError, match="label_mode must be 'fine' or 'coarse'; got 'medium'"):
        cifar100.load_data("medium", path=tmp_path)
    row = bytes([20, 3]) + bytes(3072)
    folder = write_folder(tmp_path / "any", {"train.bin": row, "test.bin": row})
    with pytest.raises(CorruptedFileError, match="a label is 20; labels are 0 to 19"):
        cifar100.load_data("coarse", path=folder)
    assert cifar100.load_data("fine", path=folder)[0][1].tolist() == [[3]]


def test_the_topics_of_reuters():
    names = reuters.get_label_names()
    assert len(set(names)) == 46
    assert [names.index(topic) for topic in ("cocoa", "earn", "acq", "crude", "lead")] == [0, 3, 4, 16, 45]
