from __future__ import annotations

import numpy as np
import pytest

from deepcore import Tensor, ops


def test_an_array_goes_in_and_comes_out_without_a_copy():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = Tensor(array)
    assert tensor.data is array
    assert tensor.numpy() is array
    assert np.asarray(tensor) is array
    assert np.shares_memory(np.from_dlpack(tensor), array)
    assert np.shares_memory(Tensor(tensor).data, array)
    assert np.shares_memory(tensor.detach().data, array)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", "<f4", "<i8"])
def test_bytes_of_either_order_mean_the_same_numbers(dtype):
    array = np.arange(1, 7, dtype=dtype).reshape(2, 3)
    for tensor in (Tensor(array), Tensor(array.tolist(), dtype=dtype)):
        assert tensor.dtype.isnative
        assert ops.sum(ops.matmul(tensor, np.ones((3, 5), tensor.dtype))).numpy() == 5 * 21
    assert array.dtype == dtype, "what was given is left alone"


def test_dlpack_objects_come_in_without_a_copy():
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    array = np.arange(4, dtype=np.float32)
    assert np.shares_memory(Tensor(Foreign(array)).data, array)


def test_the_array_protocol_copies_when_asked():
    tensor = Tensor([1.0, 2.0])
    assert not np.shares_memory(np.array(tensor), tensor.data)
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        tensor.__array__(np.dtype("float64"), copy=False)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"),
        ([1.0, 2.0], "float32"),
        ([1, 2], "int32"),
        ([2**40], "int64"),
        (True, "bool"),
        ([], "float32"),
        (np.float64(1), "float64"),
        (np.ones(2), "float64"),
        ([np.ones(2), np.ones(2)], "float64"),
        (np.ones(2, np.uint8), "uint8"),
        (np.ones(2, np.float16), "float16"),
    ],
)
def test_dtype_of_what_is_given(data, dtype):
    assert Tensor(data).dtype == np.dtype(dtype)
    assert Tensor(data, dtype="float32").dtype == np.float32


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.array([object()]), "object"),
        (["a", "b"], "dtype <U1"),
        ([[1, 2], [3]], "rows of equal length"),
        (np.array(1j), "complex128"),
        (None, "object"),
        (np.array(["2020-01-01"], "datetime64[D]"), "datetime64"),
    ],
)
def test_what_is_not_a_number_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        Tensor(data)


def test_a_gpu_array_is_not_copied_to_the_cpu_unasked():
    class OnGpu:
        __cuda_array_interface__ = {"shape": (1,), "typestr": "<f4", "data": (0, False), "version": 3}  # noqa: RUF012

    with pytest.raises(TypeError, match="GPU array"):
        Tensor(OnGpu(), device="cpu")


def test_a_cpu_tensor_has_no_cuda_array_interface():
    assert not hasattr(Tensor([1.0]), "__cuda_array_interface__")


def test_conversions():
    assert float(Tensor(1.5)) == 1.5
    assert int(Tensor(7)) == 7
    assert bool(Tensor(0.0)) is False
    assert Tensor([[1, 2]]).tolist() == [[1, 2]]
    assert len(Tensor([1, 2, 3])) == 3
    assert [t.item() for t in Tensor([1, 2, 3])] == [1, 2, 3]
    assert f"{Tensor([1.0, 2.0], requires_grad=True)}" == "Tensor([1., 2.], dtype=float32, requires_grad=True)"
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1, 2]))
    with pytest.raises(ValueError, match="one element"):
        Tensor([1, 2]).item()
    with pytest.raises(TypeError, match="without axes"):
        len(Tensor(1))
    with pytest.raises(TypeError, match="index"):
        [1][Tensor(0.0)]


def test_tensors_are_keys_by_identity():
    x = Tensor([1.0])
    assert {x: "here"}[x] == "here"


def test_gradients_are_for_floating_leaves():
    with pytest.raises(RuntimeError, match="int32"):
        Tensor([1], requires_grad=True)
    y = Tensor([1.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="detach"):
        y.requires_grad = False


def test_assign_writes_in_place():
    x = Tensor([1.0, 2.0])
    memory = x.data
    x.assign([3, 4])
    assert x.data is memory
    assert x.tolist() == [3.0, 4.0]
    with pytest.raises(ValueError, match=r"shape \(2,\); got a value of shape \(3,\)"):
        x.assign([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match="leaf"):
        (Tensor([1.0], requires_grad=True) * 2).assign([1.0])


def test_assigning_between_forward_and_backward_is_noticed():
    x = Tensor([2.0], requires_grad=True)
    y = ops.square(x).sum()
    x.assign([5.0])
    with pytest.raises(RuntimeError, match="assigned a new value between"):
        y.backward()


def test_zero_dimensional_results_are_arrays():
    total = Tensor([1.0, 2.0]).sum()
    assert isinstance(total.data, np.ndarray)
    assert total.shape == ()


def test_python_numbers_are_not_rounded_on_their_way_to_float64():
    assert Tensor(0.1, "float64").item() == 0.1
    assert Tensor([0.1, 1 / 3], "float64").tolist() == [0.1, 1 / 3]
    assert Tensor([0.1]).dtype == np.float32
