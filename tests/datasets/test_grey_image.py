"""MNIST and Fashion-MNIST from files on disk, and from a host that serves small ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from deepcore.datasets import fashion_mnist, mnist
from deepcore.errors import CorruptedFileError

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@pytest.fixture
def arrays(rng):
    return {
        "x_train": rng.integers(0, 256, (7, 28, 28), np.uint8),
        "y_train": rng.integers(0, 10, 7, np.uint8),
        "x_test": rng.integers(0, 256, (3, 28, 28), np.uint8),
        "y_test": rng.integers(0, 10, 3, np.uint8),
    }


def write_idx(folder, arrays, ending="", pack=bytes, joint="-"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in IDX_FILES.items():
        array = arrays[name]
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / (file.replace("-idx", f"{joint}idx") + ending)).write_bytes(pack(header + array.tobytes()))


def assert_loaded(split, arrays):
    (x_train, y_train), (x_test, y_test) = split
    for name, array in (("x_train", x_train), ("y_train", y_train), ("x_test", x_test), ("y_test", y_test)):
        np.testing.assert_array_equal(array, arrays[name], strict=True, err_msg=name)
        assert array.flags.c_contiguous
        assert array.flags.writeable


@pytest.mark.parametrize("load", [mnist.load_data, fashion_mnist.load_data], ids=["mnist", "fashion_mnist"])
class TestOnDisk:
    @pytest.mark.parametrize("compressed", [True, False])
    def test_npz(self, tmp_path, arrays, load, compressed):
        (np.savez_compressed if compressed else np.savez)(tmp_path / "mine.npz", **arrays)
        assert_loaded(load(path=tmp_path / "mine.npz"), arrays)

    @pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".gz", gzip.compress)])
    @pytest.mark.parametrize("joint", ["-", "."])
    def test_idx_folder(self, tmp_path, arrays, load, ending, pack, joint):
        write_idx(tmp_path, arrays, ending, pack, joint)
        assert_loaded(load(path=str(tmp_path)), arrays)

    def test_home_is_expanded(self, tmp_path, arrays, load, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        write_idx(tmp_path / "data", arrays)
        assert_loaded(load(path="~/data"), arrays)

    def test_missing_path(self, tmp_path, load):
        with pytest.raises(FileNotFoundError, match=r"absent.*does not exist.*npz.*IDX"):
            load(path=tmp_path / "absent")

    def test_missing_idx_file(self, tmp_path, arrays, load):
        write_idx(tmp_path, arrays)
        (tmp_path / IDX_FILES["y_test"]).unlink()
        with pytest.raises(FileNotFoundError, match="has no t10k-labels-idx1-ubyte"):
            load(path=tmp_path)

    def test_single_idx_file(self, tmp_path, arrays, load):
        write_idx(tmp_path, arrays)
        with pytest.raises(CorruptedFileError, match=r"For IDX files, path= is the folder"):
            load(path=tmp_path / IDX_FILES["x_train"])

    def test_npz_that_lacks_an_array(self, tmp_path, arrays, load):
        del arrays["x_test"], arrays["y_train"]
        np.savez(tmp_path / "mine.npz", **arrays)
        with pytest.raises(CorruptedFileError, match="lacks y_train, x_test"):
            load(path=tmp_path / "mine.npz")

    def test_npz_with_objects_is_not_unpickled(self, tmp_path, arrays, load):
        mark = tmp_path / "executed"
        arrays["y_train"] = np.array([Payload(mark)], dtype=object)
        np.savez(tmp_path / "mine.npz", **arrays)
        with pytest.raises(CorruptedFileError, match="plain arrays"):
            load(path=tmp_path / "mine.npz")
        assert not mark.exists()

    def test_bare_pickle_is_not_unpickled(self, tmp_path, load):
        mark = tmp_path / "executed"
        (tmp_path / "mine.npz").write_bytes(pickle.dumps(Payload(mark)))
        with pytest.raises(CorruptedFileError, match=r"not an .npz file"):
            load(path=tmp_path / "mine.npz")
        assert not mark.exists()

    def test_single_npy(self, tmp_path, arrays, load):
        np.save(tmp_path / "mine.npy", arrays["x_train"])
        with pytest.raises(CorruptedFileError, match=r"not an .npz file"):
            load(path=tmp_path / "mine.npy")

    def test_npz_member_that_is_no_array(self, tmp_path, arrays, load):
        np.savez(tmp_path / "mine.npz", **{name: arrays[name] for name in ("y_train", "x_test", "y_test")})
        with zipfile.ZipFile(tmp_path / "mine.npz", "a") as file:
            file.writestr("x_train", b"text")
        with pytest.raises(CorruptedFileError, match="the images are"):
            load(path=tmp_path / "mine.npz")

    @pytest.mark.parametrize("keep", [0.3, 0.99])
    def test_truncated_npz(self, tmp_path, arrays, load, keep):
        np.savez(tmp_path / "mine.npz", **arrays)
        content = (tmp_path / "mine.npz").read_bytes()
        (tmp_path / "mine.npz").write_bytes(content[: int(keep * len(content))])
        with pytest.raises(CorruptedFileError, match=r"mine.npz"):
            load(path=tmp_path / "mine.npz")

    def test_flipped_bit_in_npz(self, tmp_path, arrays, load):
        np.savez(tmp_path / "mine.npz", **arrays)
        content = bytearray((tmp_path / "mine.npz").read_bytes())
        content[1000] ^= 1
        (tmp_path / "mine.npz").write_bytes(content)
        with pytest.raises(CorruptedFileError, match="CRC"):
            load(path=tmp_path / "mine.npz")

    def test_absurd_shape_in_npz(self, tmp_path, arrays, load):
        np.savez(tmp_path / "mine.npz", **{name: arrays[name] for name in ("y_train", "x_test", "y_test")})
        with zipfile.ZipFile(tmp_path / "mine.npz", "a") as file, file.open("x_train.npy", "w") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)}
            )
        with pytest.raises(CorruptedFileError, match=r"mine.npz"):
            load(path=tmp_path / "mine.npz")

    @pytest.mark.parametrize(
        ("name", "change", "told"),
        [
            (
                "x_train",
                lambda a: a.astype(np.float32),
                r"train.*images are float32 \[7, 28, 28\].*uint8 \[n, 28, 28\]",
            ),
            ("x_test", lambda a: a[:, :27], r"test.*images are uint8 \[3, 27, 28\]"),
            ("x_train", lambda a: a.reshape(7, 784), r"images are uint8 \[7, 784\]"),
            ("y_train", lambda a: a[:, None], r"labels are uint8 \[7, 1\].*uint8 \[n\]"),
            ("y_train", lambda a: a.astype(np.int64), "labels are int64"),
            ("y_test", lambda a: a[:2], "3 images and 2 labels"),
            ("y_test", lambda a: a * 0 + 10, "a label is 10"),
        ],
    )
    def test_arrays_of_another_kind(self, tmp_path, arrays, load, name, change, told):
        arrays[name] = change(arrays[name])
        np.savez(tmp_path / "mine.npz", **arrays)
        with pytest.raises(CorruptedFileError, match=told):
            load(path=tmp_path / "mine.npz")

    def test_no_images(self, tmp_path, arrays, load):
        np.savez(tmp_path / "mine.npz", **{name: array[:0] for name, array in arrays.items()})
        with pytest.raises(CorruptedFileError, match="0 images"):
            load(path=tmp_path / "mine.npz")


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_mnist_is_downloaded_under_the_name_that_is_asked_for(host, cached, arrays, monkeypatch):
    np.savez(cached.parent.parent / "served.npz", **arrays)
    host.files["served.npz"] = content = (cached.parent.parent / "served.npz").read_bytes()
    monkeypatch.setattr(mnist, "URLS", [f"{host.url}/served.npz"])
    monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(content).hexdigest())
    assert_loaded(mnist.load_data(), arrays)
    assert_loaded(mnist.load_data("copy.npz"), arrays)
    assert (cached / "mnist.npz").read_bytes() == (cached / "copy.npz").read_bytes() == content
    assert_loaded(mnist.load_data("mnist.npz"), arrays)
    assert len(host.requests) == 2


def test_a_file_of_ones_own_in_the_cache_folder_is_left_alone(host, cached, arrays, monkeypatch):
    monkeypatch.setattr(mnist, "URLS", [f"{host.url}/served.npz"])
    cached.mkdir(parents=True)
    np.savez(cached / "mine.npz", **arrays)
    assert_loaded(mnist.load_data("mine.npz"), arrays)
    assert host.requests == []


def test_a_relative_path_with_a_folder_is_on_disk(host, cached, arrays, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "URLS", [f"{host.url}/served.npz"])
    monkeypatch.chdir(tmp_path)
    np.savez("mnist.npz", **arrays)
    assert_loaded(mnist.load_data("./mnist.npz"), arrays)
    assert host.requests == []


def test_fashion_mnist_is_downloaded_from_the_second_host_where_the_first_fails(host, cached, arrays, monkeypatch):
    write_idx(cached.parent.parent / "served", arrays, ".gz", gzip.compress)
    contents = {
        f"{file}.gz": (cached.parent.parent / "served" / f"{file}.gz").read_bytes() for file in IDX_FILES.values()
    }
    host.files = {f"good/{name}": content for name, content in contents.items()}
    monkeypatch.setattr(fashion_mnist, "HOSTS", [f"{host.url}/bad/", f"{host.url}/good/"])
    monkeypatch.setattr(
        fashion_mnist, "SHA256", {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    )
    assert_loaded(fashion_mnist.load_data(), arrays)
    assert_loaded(fashion_mnist.load_data(), arrays)
    assert len(host.requests) == 8
    assert {path.name for path in (cached / "fashion-mnist").iterdir()} == {".lock", *contents}
