"""What holds for the whole program: dtype policies, name scopes, the device block, messages, names of backends."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import deepcore
from deepcore import backend, config, dtype_policies, layers, mixed_precision, ops
from deepcore.device import current_device


@pytest.fixture
def fresh_policy():
    """A program that has set no policy yet, and is so again afterwards."""
    before = list(dtype_policies._of_the_program)
    dtype_policies._of_the_program.clear()
    yield
    dtype_policies._of_the_program[:] = before


@pytest.mark.usefixtures("fresh_policy")
class TestPolicies:
    def test_layers_follow_the_policy_of_the_program(self):
        assert config.dtype_policy().name == "float32"
        config.set_dtype_policy("float64")
        layer = layers.Dense(2)
        y = layer(np.ones((1, 3)))
        assert (layer.dtype_policy.name, layer.kernel.dtype, y.dtype) == ("float64", np.float64, np.float64)
        assert layers.Dense(2, dtype="float32").compute_dtype == "float32"
        assert deepcore.DTypePolicy().name == "float64"
        assert mixed_precision.global_policy() == deepcore.DTypePolicy("float64")

    def test_floatx_says_it_where_no_policy_does(self):
        config.set_floatx("float64")
        try:
            assert dtype_policies.dtype_policy().name == "float64"
            assert layers.Dense(1).variable_dtype == np.float64
        finally:
            config.set_floatx("float32")

    def test_round_trips(self):
        policy = deepcore.FloatDTypePolicy("float64")
        assert dtype_policies.deserialize(dtype_policies.serialize(policy)) == policy
        assert deepcore.DTypePolicy.from_config(policy.get_config()) == policy
        assert deepcore.saving.deserialize_keras_object(deepcore.saving.serialize_keras_object(policy)) == policy
        assert repr(policy) == '<DTypePolicy "float64">'
        assert len({policy, deepcore.DTypePolicy("float64"), deepcore.DTypePolicy("float32")}) == 2

    @pytest.mark.parametrize(
        "given",
        ["float64", np.float64, np.dtype("float64"), {"class_name": "DTypePolicy", "config": {"name": "float64"}}],
    )
    def test_get(self, given):
        assert dtype_policies.get(given).variable_dtype == np.float64

    def test_get_of_none_and_of_itself(self):
        policy = deepcore.DTypePolicy("float64")
        assert dtype_policies.get(policy) is policy
        assert dtype_policies.get(None).name == "float32"

    @pytest.mark.parametrize(
        ("call", "kind", "said"),
        [
            (lambda: deepcore.DTypePolicy(3), TypeError, "name of a dtype policy is a string.*got 3"),
            (lambda: deepcore.DTypePolicy("mixed_float16"), ValueError, "Mixed precision is not there yet"),
            (lambda: config.set_dtype_policy(3), ValueError, "A dtype policy is a DTypePolicy.*got 3"),
            (lambda: dtype_policies.get(["x"]), ValueError, r"Expected a dtype policy.*got \['x'\]"),
            (lambda: mixed_precision.set_global_policy("int8"), ValueError, "float32 or float64; got dtype=int8"),
        ],
    )
    def test_what_is_no_policy(self, call, kind, said):
        with pytest.raises(kind, match=said):
            call()
        assert config.dtype_policy().name == "float32"


def test_name_scopes_are_the_paths_of_what_is_made_within():
    with deepcore.name_scope("encoder"), deepcore.name_scope("first"):
        variable = deepcore.Variable([1.0], name="v")
        layer = layers.Dense(1, name="fc")
        layer.build((None, 2))
    assert variable.path == "encoder/first/v"
    assert layer.kernel.path == "encoder/first/fc/kernel"
    assert deepcore.Variable([1.0], name="v").path == "v"


def test_name_scopes_of_one_caller_and_of_another_parent():
    owner = object()
    with deepcore.name_scope("a", caller=owner):
        with deepcore.name_scope("a", caller=owner):
            assert deepcore.Variable(0.0, name="v").path == "a/v"
        with deepcore.name_scope("a", caller=owner, deduplicate=False):
            assert deepcore.Variable(0.0, name="v").path == "a/a/v"
        with deepcore.name_scope("b", override_parent="x/y"):
            assert deepcore.Variable(0.0, name="v").path == "x/y/b/v"
    for name in ("a/b", 3):
        with pytest.raises(ValueError, match="a string without '/'"):
            deepcore.name_scope(name)


def test_device_is_a_block_too():
    with deepcore.device("cpu:0") as device:
        assert device.kind == "cpu"
        assert current_device() is device
    with deepcore.device("emulator"):
        assert deepcore.Variable([1.0]).device.kind == "emulator"
    assert deepcore.device.as_device("cpu").kind == "cpu"
    with pytest.raises(ValueError, match=r"a name such as 'cpu'.*got 3"):
        deepcore.device(3)
    with pytest.raises(ValueError, match="Unknown device 'tpu:0'"), deepcore.device("tpu:0"):
        pass


def test_messages_are_printed_or_logged(capsys, caplog):
    config.show("printed")
    config.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, "deepcore"):
            config.show("logged")
        assert not config.is_interactive_logging_enabled()
    finally:
        config.enable_interactive_logging()
    assert config.is_interactive_logging_enabled()
    assert capsys.readouterr().out == "printed\n"
    assert [record.getMessage() for record in caplog.records] == ["logged"]


def test_the_folder_of_what_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path))
    assert config.home() == tmp_path
    monkeypatch.delenv("DEEPCORE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.home() == tmp_path / ".deepcore"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "float32"),
        (int, "int32"),
        (float, "float32"),
        (bool, "bool"),
        (str, "string"),
        (np.float64, "float64"),
        (np.dtype("uint8"), "uint8"),
        ("bfloat16", "bfloat16"),
        ("int", "int32"),
    ],
)
def test_standardize_dtype(given, name):
    assert backend.standardize_dtype(given) == name


def test_what_is_no_dtype():
    for given in ("float17", "complex512", object()):
        with pytest.raises(ValueError, match="Invalid dtype"):
            backend.standardize_dtype(given)


def test_kinds_of_dtypes():
    floats = ["bfloat16", "float16", "float32", "float64"]
    integers = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    for name in (*floats, *integers, "bool"):
        assert backend.is_float_dtype(name) == (name in floats)
        assert backend.is_int_dtype(name) == (name in integers)


@pytest.mark.parametrize("kinds", [("int8", "float32"), ("uint8", "int8"), ("float32", "float64"), ("bool", "int16")])
def test_result_type_is_that_of_tensors(kinds):
    x, y = (ops.ones((2,), kind) for kind in kinds)
    assert backend.result_type(*kinds) == (x + y).dtype.name
    assert backend.result_type(kinds[1], kinds[0]) == backend.result_type(*kinds)


def test_result_type_of_numbers_of_python():
    assert backend.result_type("int8", int) == "int8"
    assert backend.result_type("int64", float) == backend.result_type("bool", float) == "float32"
    assert backend.result_type("float64", float, int) == "float64"
    assert backend.result_type("bool", int) == "int32"
    assert backend.result_type(int) == "int32"


def test_uids_count_for_each_prefix():
    backend.clear_session()
    assert [backend.get_uid("a"), backend.get_uid("a"), backend.get_uid("b")] == [1, 2, 1]
    assert backend.get_uid("dense") == 1
    assert layers.Dense(1).name == "dense_1"
    backend.clear_session()
    assert layers.Dense(1).name == "dense"


def test_symbolic_tensors_are_those_of_keras():
    x = layers.Input((2,))
    assert backend.is_keras_tensor(x + 1)
    assert not backend.is_keras_tensor(ops.ones((2,)))
