"""The two places where a case runs, with one meaning: the emulator everywhere, and a GPU."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from fidelity.case import Arguments, Case, is_unwritten

from deepcore.backend.cuda.cubin import cubin
from deepcore.backend.cuda.launcher import FOLDER
from deepcore.kernels.emulator import Module, TensorMap
from deepcore.kernels.emulator.tensor_map import SWIZZLES
from deepcore.kernels.signature import convert_scalar, parse_signatures

Outputs = dict[str, np.ndarray]


class Emulator:
    """Runs cases on this processor; with ``check`` a finding raises ``EmulatorError``."""

    capability = 90

    def __init__(self, check: bool = False) -> None:
        self._check = check
        self._modules: dict[Any, Module] = {}

    def run(self, case: Case, arguments: Arguments) -> Outputs:
        """The outputs of one launch, by name."""
        key = case.file, case.defines
        if key not in self._modules:
            self._modules[key] = Module(case.file, dict(case.defines), self._check)
        module = self._modules[key]
        outputs = _outputs(module.signatures[case.kernel], arguments)
        given = arguments | {name: value.copy() for name, value in outputs.items()}
        fresh = {name for name, value in outputs.items() if is_unwritten(value)}
        module.launch(case.kernel, case.grid, case.block, given, shared=case.shared, uninitialized=fresh)
        return {name: given[name] for name in outputs}


class Gpu:
    """Runs cases on the first GPU, by CuPy."""

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self.capability = int(cupy.cuda.Device().compute_capability)

    def run(self, case: Case, arguments: Arguments) -> Outputs:
        """The outputs of one launch, by name."""
        cupy = self._cupy
        signature = _signature(case)
        kept, values = [], []
        for parameter in signature.parameters:
            value = arguments[parameter.name]
            if parameter.is_pointer:
                kept.append(cupy.asarray(value))
                values.append(kept[-1])
            elif isinstance(value, TensorMap):
                kept.append(cupy.asarray(value.array))
                values.append(encode(value, int(kept[-1].data.ptr)))
            else:
                values.append(convert_scalar(case.kernel, parameter, value)[0])
        function = self._module(case).get_function(case.kernel)
        if case.shared > 48 << 10:
            function.max_dynamic_shared_size_bytes = case.shared
        function((case.grid,), (case.block,), tuple(values), shared_mem=case.shared)
        cupy.cuda.Device().synchronize()
        names = _outputs(signature, arguments)
        return {
            parameter.name: cupy.asnumpy(value)
            for parameter, value in zip(signature.parameters, values, strict=True)
            if parameter.name in names
        }

    def _module(self, case: Case) -> Any:
        return _gpu_module(case.file, case.defines, self.capability)


@functools.cache
def _gpu_module(file: Any, defines: tuple[tuple[str, object], ...], capability: int) -> Any:
    import cupy

    return cupy.RawModule(path=str(cubin(file, dict(defines), capability).path))


def _signature(case: Case) -> Any:
    headers = "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.cuh")))
    source = case.file.read_text(encoding="utf-8")
    return parse_signatures(source, dict(case.defines), included=headers)[case.kernel]


def _outputs(signature: Any, arguments: Arguments) -> Outputs:
    return {p.name: arguments[p.name] for p in signature.parameters if p.is_pointer and not p.is_const}


# CUtensorMapDataType of cuda.h.
_DATA_TYPES = {
    "uint8": 0,
    "uint16": 1,
    "uint32": 2,
    "int32": 3,
    "uint64": 4,
    "int64": 5,
    "float16": 6,
    "float32": 7,
    "float64": 8,
}


def encode(which: TensorMap, address: int, driver: Any = None) -> np.ndarray:
    """The driver's tensor map of an array at ``address`` on the GPU: one structure of 128 bytes, to pass by value.

    ``driver`` is ``libcuda``. Raises ``RuntimeError`` with the driver's code where it refuses.
    """
    driver = driver or ctypes.CDLL("libcuda.so.1")
    array, rank = which.array, which.array.ndim
    words = np.zeros(128 + 64, np.uint8)
    start = -words.ctypes.data % 64
    encoded = words[start : start + 128]
    sizes = (ctypes.c_uint64 * rank)(*array.shape[::-1])
    strides = (ctypes.c_uint64 * max(1, rank - 1))(*array.strides[-2::-1])
    steps = (ctypes.c_uint32 * rank)(*([1] * rank))
    of_array = (
        ctypes.c_void_p(encoded.ctypes.data),
        ctypes.c_int(_DATA_TYPES[array.dtype.name]),
        ctypes.c_uint32(rank),
        ctypes.c_void_p(address),
        sizes,
        strides,
    )
    # No interleaving, no promotion in the second-level cache, zeros outside of the array.
    last = (ctypes.c_int(0), ctypes.c_int(SWIZZLES[which.swizzle]), ctypes.c_int(0), ctypes.c_int(0))
    if which.im2col:
        steps[1] = steps[2] = which.pixel_stride
        pixels, channels = which.box
        corners = (ctypes.c_int * 2)(*which.lower), (ctypes.c_int * 2)(*which.upper)
        code = driver.cuTensorMapEncodeIm2col(
            *of_array, *corners, ctypes.c_uint32(channels), ctypes.c_uint32(pixels), steps, *last
        )
    else:
        box = (ctypes.c_uint32 * rank)(*which.box[::-1])
        code = driver.cuTensorMapEncodeTiled(*of_array, box, steps, *last)
    if code != 0:
        raise RuntimeError(f"The driver refused a tensor map of {array.shape} {array.dtype}, box {which.box}: {code}.")
    return np.frombuffer(encoded.tobytes(), dtype="V128")
