"""Files that are broken, or made to do harm, are refused with nothing done."""

from __future__ import annotations

import io
import json
import struct
import sys
import warnings
import zipfile
import zlib

import h5py
import keras_files as keras
import numpy as np
import pytest

from deepcore import layers, saving
from deepcore.errors import CorruptedFileError
from deepcore.models import Sequential, load_model, model_from_json
from deepcore.saving import limits

KERNEL, BIAS = np.arange(6, dtype="float32").reshape(3, 2), np.ones(2, "float32")
GOOD = {"layers/dense": [KERNEL, BIAS]}


def config():
    return keras.sequential([keras.input_layer("x", 3), keras.dense("dense", 2, 3)], 3)


def model():
    return Sequential([layers.Input((3,)), layers.Dense(2)])


def test_the_file_that_the_others_are_made_from_loads(tmp_path):
    loaded = load_model(keras.archive(tmp_path / "m.keras", config(), GOOD))
    np.testing.assert_array_equal(loaded.layers[0].kernel.numpy(), KERNEL)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".safetensors", ".h5"])
def test_files_that_are_cut_off(tmp_path, share, ending):
    made = model()
    path = tmp_path / f"m{ending}"
    made.save(path) if ending in (".keras", ".h5") else made.save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    before = made.get_weights()
    with pytest.raises(ValueError, match=r"cannot be read: it is cut off, damaged|no model's file"):
        load_model(path) if ending in (".keras", ".h5") else made.load_weights(path)
    for old, new in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_bytes_that_changed_are_noticed(tmp_path):
    path = tmp_path / "m.keras"
    keras.archive(path, config(), GOOD)
    content = bytearray(path.read_bytes())
    content[content.index(KERNEL.tobytes()) + 5] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptedFileError, match="Bad CRC"):
        load_model(path)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "assets/../../out.txt", "assets\\..\\out.txt", "C:out.txt"])
def test_names_that_lead_elsewhere(tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    path = keras.archive(inside / "m.keras", config(), GOOD, [(name, "gotcha")])
    with pytest.raises(ValueError, match="leads out of its folder"):
        load_model(path)
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["inside", "m.keras"]


def test_links_in_an_archive(tmp_path):
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    path = keras.archive(tmp_path / "m.keras", config(), GOOD, [(link, "/etc")])
    with pytest.raises(ValueError, match="'assets/link' in the archive is a link"):
        load_model(path)


def test_two_files_of_one_name(tmp_path):
    path = tmp_path / "m.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile says so while the file is made
        keras.archive(path, config(), GOOD, [("config.json", "{}")])
    with pytest.raises(CorruptedFileError, match="one name"):
        load_model(path)


def packed(name, size):
    """A member of ``size`` zeros, packed a thousand times smaller, without unpacked zeros in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block, content, check = bytes(1 << 24), [], 0
    for _ in range(size >> 24):
        content.append(packer.compress(block))
        check = zlib.crc32(block, check)
    content.append(packer.flush())
    return name, b"".join(content), check, size


@pytest.mark.parametrize("name", ["assets/zeros", "config.json", "model.weights.h5"])
def test_an_archive_that_unpacks_to_far_more_than_it_is(tmp_path, name):
    path = tmp_path / "bomb.keras"
    name, content, check, size = packed(name, limits.FLOOR_BYTES + (1 << 24))
    others = {"config.json": json.dumps(config()), "metadata.json": "{}", "model.weights.h5": keras.weights(GOOD)}
    with zipfile.ZipFile(path, "w") as archive:
        for other, text in others.items():
            if other != name:
                archive.writestr(other, text)
        info = zipfile.ZipInfo(name)
        archive.writestr(info, content)
        info.compress_type, info.CRC, info.file_size = zipfile.ZIP_DEFLATED, check, size
    with pytest.raises(ValueError, match=f"'{name}' in the archive is refused: it says that it holds 285,212,672"):
        load_model(path)


def test_an_archive_without_a_model(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CorruptedFileError, match=r"no model's file: it has no config\.json and no model\.weights\.h5"):
        load_model(path)
    with pytest.raises(ValueError, match="File not found"):
        load_model(tmp_path / "nowhere.keras")
    with pytest.raises(ValueError, match="File format not supported"):
        load_model(tmp_path / "m.pb")


@pytest.mark.parametrize(
    "text", ["[1, 2]", "{}", '{"class_name": 3, "config": {}}', "{" * 5, "[" * 100_000, "nonsense"]
)
def test_configurations_that_are_none(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", keras.weights(GOOD))
    with pytest.raises((ValueError, TypeError), match=r"cannot be read|does not say|'class_name' is the name"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("keras.src.utils.file_utils", "makedirs"),
        ("deepcore.saving.atomic", "replacing"),
        ("keras.models", "load_model"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.utils", "get_file"),
        ("antigravity", "Layer"),
        (None, "exec"),
    ],
)
@pytest.mark.parametrize("kind", ["class", "function"])
def test_classes_and_functions_that_no_model_has(tmp_path, module, name, kind):
    evil = {"module": module, "class_name": name, "config": {"command": "true"}, "registered_name": name}
    if kind == "function":
        evil.update(class_name="function", config=name)
    layer = keras.dense("dense", 2, 3)
    layer["config"]["kernel_initializer"] = evil
    loaded = set(sys.modules)
    for layers_of_it in ([keras.input_layer("x", 3), evil], [keras.input_layer("x", 3), layer]):
        path = keras.archive(tmp_path / "m.keras", keras.sequential(layers_of_it, 3), GOOD)
        with pytest.raises(
            (TypeError, ValueError), match=f"Could not locate .*{name}|Unknown (layer|initializer) '{name}'"
        ):
            load_model(path)
    assert "antigravity" not in set(sys.modules) - loaded


def test_operations_that_are_none(tmp_path):
    def drawn(entry):
        listed = [{**keras.input_layer("x", 3), "name": "x", "inbound_nodes": []}]
        listed.append(keras.called(entry, "step", [keras.tensor([3], "x", 0, 0)]))
        return json.dumps(keras.functional(listed, ["x", 0, 0], ["step", 0, 0]))

    relu = keras.operation("Relu", "nn", name="step")
    with pytest.raises(TypeError, match=r"operation 'System', and deepcore\.ops has no such function"):
        model_from_json(drawn(keras.operation("System", name="step")))
    with pytest.raises(ValueError, match=r"operation Relu .* has danger=1"):
        model_from_json(drawn(keras.operation("Relu", "nn", name="step", danger=1)))
    broken = json.loads(drawn(relu))
    broken["config"]["output_layers"] = ["nowhere", 0, 0]
    with pytest.raises(ValueError, match=r"lists .*'nowhere'"):
        model_from_json(json.dumps(broken))
    broken = json.loads(drawn(relu))
    broken["config"]["layers"][1]["inbound_nodes"][0]["args"] = [keras.tensor([3], "step", 0, 0)]
    with pytest.raises(ValueError, match="not whole: step lack their inputs"):
        model_from_json(json.dumps(broken))


def test_a_lambda_in_a_file_is_not_run_unless_one_says_so():
    config = saving.serialize_keras_object
    with pytest.warns(UserWarning, match="A lambda is being saved"):
        written = json.loads(json.dumps(config(lambda x, by=3: x * by)))
    with pytest.raises(ValueError, match="arbitrary code execution"):
        saving.deserialize_keras_object(written)
    assert saving.deserialize_keras_object(written, safe_mode=False)(2) == 6
    with pytest.raises(CorruptedFileError, match="code of a lambda"):
        saving.deserialize_keras_object(
            {"class_name": "__lambda__", "config": {"value": ["AAAA", None, None]}}, safe_mode=False
        )
    del written["config"]["value"]  # as Keras's Lambda layer writes it
    assert saving.deserialize_keras_object(written, safe_mode=False)(2) == 6


def test_arrays_of_objects_in_a_configuration():
    with pytest.raises(TypeError, match="holds numbers; got dtype object"):
        saving.deserialize_keras_object({"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}})


def hdf5(path, change):
    """Weights that fit the model, changed."""
    path.write_bytes(keras.weights(GOOD))
    with h5py.File(path, "a") as file:
        change(file, file["layers/dense/vars"])
    return path


def huge(file, group):
    del group["0"]
    group.create_dataset("0", (1 << 40, 1 << 20), "float32", chunks=(1 << 10, 1 << 10), compression="gzip")


def huge_of_the_right_rank(file, group):
    del group["0"]
    group.create_dataset("0", (3, 1 << 40), "float32", chunks=(1, 1 << 10))


def soft_link(file, group):
    del group["0"]
    group["0"] = h5py.SoftLink("/layers/dense/vars/1")


def external_link(file, group):
    del group["0"]
    group["0"] = h5py.ExternalLink("/etc/passwd", "/")


def external_group(file, group):
    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink("other.h5", "/")


def external_array(file, group):
    del group["0"]
    group.create_dataset("0", (3, 2), "float32", external=[("/etc/passwd", 0, 24)])


def virtual_array(file, group):
    del group["0"]
    layout = h5py.VirtualLayout((3, 2), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "a", (3, 2))
    group.create_virtual_dataset("0", layout)


def objects(file, group):
    del group["0"]
    group.create_dataset("0", (3, 2), h5py.special_dtype(ref=h5py.Reference))


def text(file, group):
    del group["0"]
    group.create_dataset("0", data=[[b"a", b"b"]] * 3)


def a_group(file, group):
    del group["0"]
    group.create_group("0")


def one_less(file, group):
    del group["1"]


def one_more(file, group):
    group["2"] = BIAS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (huge, r"kernel has shape \(3, 2\), in the file|refused: it says that it holds"),
        (huge_of_the_right_rank, r"in the file \(3, 1099511627776\)|refused"),
        (soft_link, "is of the kind SoftLink"),
        (external_link, "is of the kind ExternalLink"),
        (external_group, "is of the kind ExternalLink"),
        (external_array, "lies in another file"),
        (virtual_array, "lies in another file"),
        (objects, "not numbers"),
        (text, "not numbers"),
        (a_group, "is a Group, not a Dataset"),
        (one_less, r"the model has 2 \(kernel \(3, 2\), bias \(2,\)\), the file 1"),
        (one_more, r"the model has 2 .*, the file 3"),
    ],
)
def test_weights_that_are_not_what_they_should_be(tmp_path, change, said):
    path = hdf5(tmp_path / "w.weights.h5", change)
    made = model()
    before = made.get_weights()
    with pytest.raises(ValueError, match=said):
        made.load_weights(path)
    for old, new in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_groups_that_hold_themselves(tmp_path):
    def loop(file, group):
        file["layers/dense/again"] = file["layers"]

    with pytest.raises(CorruptedFileError, match="without end"):
        model().load_weights(hdf5(tmp_path / "w.weights.h5", loop))


def test_weights_of_another_model_are_listed(tmp_path):
    other = Sequential([layers.Input((3,)), layers.Dense(2), layers.Dense(4)])
    other.save_weights(tmp_path / "w.weights.h5")
    with pytest.warns(UserWarning, match=r"has no place for: layers/dense_1\."):
        model().load_weights(tmp_path / "w.weights.h5")
    model().save_weights(tmp_path / "v.weights.h5")
    before = other.get_weights()
    with pytest.raises(
        ValueError, match=r"1 of the model's layers could not be loaded .*layers/dense_1.* is not in the"
    ):
        other.load_weights(tmp_path / "v.weights.h5")
    for old, new in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.warns(UserWarning, match=r"layers/dense_1"):
        other.load_weights(tmp_path / "v.weights.h5", skip_mismatch=True)
    assert (other.layers[0].kernel.numpy() != before[0]).any()
    np.testing.assert_array_equal(other.layers[1].kernel.numpy(), before[2])


def test_safetensors_with_a_header_that_lies(tmp_path):
    def written(header):
        text = json.dumps(header).encode()
        path = tmp_path / "w.safetensors"
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(32))
        return path

    entry = {"dtype": "F32", "shape": [1 << 40, 2], "data_offsets": [0, 24]}
    with pytest.raises(ValueError, match="cannot be read"):
        model().load_weights(written({"layers/dense/vars/0": entry}))
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(ValueError, match="cannot be read"):
        model().load_weights(path)


def test_an_old_file_is_held_to_the_same_rules(tmp_path):
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        group = file.create_group("dense")
        group.attrs["weight_names"] = [b"k", b"b"]
        group["k"] = h5py.ExternalLink("/etc/passwd", "/")
        group["b"] = BIAS
    with pytest.raises(ValueError, match="of the kind ExternalLink"):
        model().load_weights(path)
    with pytest.raises(ValueError, match="No model config found"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out/dense", "of the kind ExternalLink"),
        ("in/dense", "of the kind SoftLink"),
        ("/dense", "no ''"),
        ("./dense", "no '.'"),
        ("nowhere", "no 'nowhere'"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_names_of_layers_in_an_old_file_that_lead_elsewhere(tmp_path, name, said):
    def layer(file):
        group = file.create_group("dense")
        group.attrs["weight_names"] = [b"k", b"b"]
        group["k"], group["b"] = KERNEL, BIAS

    with h5py.File(tmp_path / "secret.h5", "w") as file:
        layer(file)
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [name]
        layer(file)
        layer(file.create_group("real"))
        file["in"] = h5py.SoftLink("/real")
        file["out"] = h5py.ExternalLink(tmp_path / "secret.h5", "/")
    made = model()
    before = made.get_weights()
    with pytest.raises(ValueError, match=said):
        made.load_weights(tmp_path / "old.h5")
    np.testing.assert_array_equal(made.get_weights()[0], before[0])


@pytest.mark.parametrize("place", ["activation", "kernel_initializer", "kernel_regularizer"])
def test_code_is_refused_wherever_it_hides(tmp_path, place):
    with pytest.warns(UserWarning, match="lambda"):
        code = saving.serialize_keras_object(lambda x: x)
    layer = keras.dense("dense", 2, 3)
    layer["config"][place] = code
    path = keras.archive(tmp_path / "m.keras", keras.sequential([keras.input_layer("x", 3), layer], 3), GOOD)
    with pytest.raises(ValueError, match="arbitrary code execution"):
        load_model(path)
    compiled = config()
    compiled["compile_config"] = {"optimizer": "sgd", "loss": code}
    with pytest.raises(ValueError, match="arbitrary code execution"):
        load_model(keras.archive(tmp_path / "m.keras", compiled, GOOD))


def test_an_encrypted_archive(tmp_path):
    keras.archive(tmp_path / "m.keras", config(), GOOD)
    content = bytearray((tmp_path / "m.keras").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "e.keras").write_bytes(content)
    with pytest.raises(CorruptedFileError, match="is encrypted"):
        load_model(tmp_path / "e.keras")


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000])
def test_a_configuration_that_is_too_deep(tmp_path, text):
    path = keras.archive(tmp_path / "m.keras", config(), GOOD)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "deep.keras", "w") as deep:
        for name in whole.namelist():
            deep.writestr(name, text if name == "config.json" else whole.read(name))
    with pytest.raises(CorruptedFileError, match="recursion"):
        load_model(tmp_path / "deep.keras")


def test_an_open_file_is_read_like_a_path():
    file = io.BytesIO()
    model_written = model()
    saving.save_model(model_written, file)
    file.seek(0)
    loaded = load_model(file)
    np.testing.assert_array_equal(loaded.layers[0].kernel.numpy(), model_written.layers[0].kernel.numpy())
    with pytest.raises(CorruptedFileError):
        load_model(io.BytesIO(b"not a zip"))
