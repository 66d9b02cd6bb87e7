"""A save that fails leaves what was there as it was, and nothing beside it."""

from __future__ import annotations

import errno
import os
import stat

import numpy as np
import pytest

from deepcore import layers
from deepcore.models import Sequential, load_model
from deepcore.saving import atomic
from deepcore.variable import Variable


def model(value):
    made = Sequential([layers.Input((3,)), layers.Dense(2)])
    made.set_weights([np.full((3, 2), value, np.float32), np.zeros(2, np.float32)])
    return made


class FullDisk:
    """A file that takes so many bytes and no more."""

    def __init__(self, arguments, room):
        self._file, self._room = open(*arguments), room  # noqa: SIM115  # closed by __exit__

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, content):
        self._room -= len(content)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(content)

    def __getattr__(self, name):
        return getattr(self._file, name)


def save(made, path, **overwrite):
    if path.name.endswith((".weights.h5", ".safetensors")):
        made.save_weights(path, **overwrite)
    else:
        made.save(path, zipped=path.suffix in (".keras", ".h5"), **overwrite)


def value_at(path):
    if path.name.endswith((".weights.h5", ".safetensors")):
        made = model(0.0)
        made.load_weights(path)
        return made.layers[0].kernel.numpy()[0, 0]
    return load_model(path, compile=False).layers[0].kernel.numpy()[0, 0]


NAMES = ["m.keras", "m.h5", "m.weights.h5", "m.safetensors", "folder"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("moment", ["fsync", "replace", "write"])
def test_the_old_file_stays_whole(tmp_path, monkeypatch, name, moment):
    path = tmp_path / name
    save(model(1.0), path)
    size = os.path.getsize(path)

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if moment == "fsync":
            patch.setattr(os, "fsync", fail)
        elif moment == "replace":
            patch.setattr(os, "replace", fail)
            patch.setattr(os, "rename", fail)
        else:
            patch.setattr(Variable, "numpy", fail)
        with pytest.raises(OSError, match="No space left"):
            save(model(2.0), path)
    assert value_at(path) == 1.0
    assert (os.path.getsize(path), os.listdir(tmp_path)) == (size, [name])
    save(model(2.0), path)
    assert (value_at(path), os.listdir(tmp_path)) == (2.0, [name])


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_a_disk_that_is_full_half_way(tmp_path, monkeypatch, room):
    path = tmp_path / "m.keras"
    save(model(1.0), path)
    monkeypatch.setattr(atomic, "open", lambda *args: FullDisk(args, room), raising=False)
    with pytest.raises(OSError, match="No space left"):
        save(model(2.0), path)
    monkeypatch.undo()
    assert (value_at(path), os.listdir(tmp_path)) == (1.0, ["m.keras"])


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    save(model(1.0), path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(model(2.0), path)
    assert (value_at(path), os.listdir(tmp_path)) == (1.0, ["m.keras"])


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "m.keras", tmp_path / "m.keras"
    save(model(1.0), real)
    real.chmod(0o640)
    link.symlink_to(real)
    save(model(2.0), link)
    assert link.is_symlink()
    assert value_at(real) == 2.0
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_what_is_there_is_kept_without_overwrite(tmp_path):
    for name in NAMES:
        path = tmp_path / name
        save(model(1.0), path)
        with pytest.raises(FileExistsError, match="is there already"):
            save(model(2.0), path, overwrite=False)
        assert value_at(path) == 1.0


def test_a_folder_with_other_files_is_not_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds chapter\.txt"):
        model(1.0).save(tmp_path / "thesis", zipped=False)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_endings_that_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"extension: models are saved to \*\.keras"):
        model(1.0).save(tmp_path / "m.model")
    with pytest.raises(ValueError, match=r"must end in `\.weights\.h5`"):
        model(1.0).save_weights(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"should not end in \.keras"):
        model(1.0).save(tmp_path / "m.keras", zipped=False)
    with pytest.raises(ValueError, match="not supported"):
        model(1.0).load_weights(tmp_path / "m.npz")
    with pytest.raises(ValueError, match=r"by_name is for the older files"):
        model(1.0).load_weights(tmp_path / "m.weights.h5", by_name=True)
    with pytest.raises(ValueError, match="Invalid keyword arguments"):
        model(1.0).load_weights(tmp_path / "m.weights.h5", skip=True)
    with pytest.raises(FileNotFoundError):
        model(1.0).load_weights(tmp_path / "nowhere.weights.h5")
    unbuilt = Sequential([layers.Dense(1)])
    with pytest.raises(ValueError, match="not built yet"):
        unbuilt.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="without weights"):
        unbuilt.save(tmp_path / "m.keras")
    assert not load_model(tmp_path / "m.keras").built
