"""What is read from a kernel's declaration."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.kernels.signature import Parameter, convert_scalar, parse_signatures


def one(declaration: str, defines=None):
    ((_, signature),) = parse_signatures(declaration, defines).items()
    return signature


@pytest.mark.parametrize(
    ("declared", "type", "dtype", "is_pointer", "is_const", "alignment"),
    [
        ("const float* __restrict__ x", "float*", "float32", True, True, 4),
        ("float const * const x", "float*", "float32", True, True, 4),
        ("double *x", "double*", "float64", True, False, 8),
        ("T x[]", "float*", "float32", True, False, 4),
        ("const float4* x", "float4*", "float32", True, True, 16),
        ("uchar4 *x", "uchar4*", "uint8", True, False, 4),
        ("__half2* x", "__half2*", "float16", True, False, 4),
        ("const __nv_bfloat16* x", "__nv_bfloat16*", "uint16", True, True, 2),
        ("int x", "int", "int32", False, False, 4),
        ("const unsigned x", "unsigned", "uint32", False, True, 4),
        ("unsigned long long int x", "unsigned long long", "uint64", False, False, 8),
        ("long int x", "long", "int64", False, False, 8),
        ("size_t x", "size_t", "uint64", False, False, 8),
        ("std::uint8_t x", "uint8_t", "uint8", False, False, 1),
        ("bool x", "bool", "bool", False, False, 1),
        ("float** x", "float**", "uint64", True, True, 8),
        ("void* x", "void*", None, True, False, 1),
        ("const __grid_constant__ TensorMap x", "TensorMap", None, False, True, 1),
    ],
)
def test_parameters(declared, type, dtype, is_pointer, is_const, alignment):
    signature = one(f'extern "C" __global__ void f({declared}) {{}}', {"T": "float"})
    expected = Parameter("x", type, None if dtype is None else np.dtype(dtype), is_pointer, is_const, alignment)
    assert signature.parameters == (expected,)


def test_a_whole_file():
    text = """
    // extern "C" __global__ void in_a_comment(int x) {}
    /* __global__ void in_another(int x) {} */
    #define FORWARD(name) extern "C" __global__ void name(int x)
    #ifndef SCALAR
    #define SCALAR double
    #endif
    using Index = long long;
    typedef unsigned char Byte;
    constexpr int warps = 4;
    const char* text = "extern __global__ void in_a_string(int x) {}";
    template <class V> __global__ void of_a_template(V x) {}
    __device__ float helper(float x) { return x; }
    extern "C" {
    __global__ void
    __launch_bounds__(warps * 32, 2)
    first(const SCALAR* x,  // the input
          Byte* y, Index n) { helper(1); }
    }
    extern "C" __global__ void __launch_bounds__(1 << 8) second(void);
    extern "C" __global__ void third(float x = 1.0f, int y = max(1, 2)) {}
    """
    found = parse_signatures(text)
    assert set(found) == {"first", "second", "third"}
    assert str(found["first"]) == "first(const double* x, unsigned char* y, long long n)"
    assert (found["first"].max_threads, found["first"].min_blocks) == (128, 2)
    assert (found["second"].parameters, found["second"].max_threads, found["second"].min_blocks) == ((), 256, None)
    assert [parameter.name for parameter in found["third"].parameters] == ["x", "y"]
    assert str(parse_signatures(text, {"SCALAR": "__half"})["first"]).startswith("first(const __half* x,")


def test_launch_bounds_that_are_no_constant_are_unknown():
    assert one('extern "C" __global__ void __launch_bounds__(sizeof(int)) f(int x) {}').max_threads is None


def test_references_are_refused():
    with pytest.raises(ValueError, match="Kernel 'f': the parameter 'float& x' is a reference"):
        parse_signatures('extern "C" __global__ void f(float& x) {}')


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        ("int", 7, np.int32(7)),
        ("int", np.int64(7), np.int32(7)),
        ("float", 7, np.float32(7)),
        ("float", 0.1, np.float32(0.1)),
        ("double", np.float32(0.5), np.float64(0.5)),
        ("bool", True, np.bool_(True)),
        ("unsigned char", 255, np.uint8(255)),
        ("__half", 1.5, np.float16(1.5)),
        ("__nv_bfloat16", 1.00390625, np.uint16(0x3F80)),
        ("__nv_bfloat16", 1.01171875, np.uint16(0x3F82)),
    ],
)
def test_scalars(type, value, expected):
    (parameter,) = one(f'extern "C" __global__ void f({type} x) {{}}').parameters
    word = convert_scalar("f", parameter, value)
    assert word.dtype == expected.dtype
    assert word.tolist() == [expected]


@pytest.mark.parametrize(
    ("type", "value", "error", "says"),
    [
        ("int", 1.0, TypeError, r"argument 'x' \(int x\): the float 1.0 was passed; a whole number is expected"),
        ("int", 2**31, ValueError, "2147483648 was passed; int holds -2147483648 to 2147483647"),
        ("unsigned", -1, ValueError, "-1 was passed; unsigned holds 0 to 4294967295"),
        ("float", "1", TypeError, "str was passed; a number of type float is expected"),
        ("float", np.ones(1), TypeError, "ndarray was passed; a number of type float is expected"),
    ],
)
def test_scalars_that_do_not_fit(type, value, error, says):
    (parameter,) = one(f'extern "C" __global__ void f({type} x) {{}}').parameters
    with pytest.raises(error, match=says):
        convert_scalar("f", parameter, value)
