"""Compiles a ``.cu`` file for a GPU with NVRTC, and keeps what it made.

A cubin is kept in ``$DEEPCORE_HOME/kernels`` (``~/.deepcore/kernels`` by default) under a name that says what went in:
the source and every header of ours that it includes, the macros, the options, the architecture and NVRTC's version.
CuPy's own cache does not see included files. No GPU is needed to compile.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from deepcore.kernels.cache import cache_folder, digest, included, replace
from deepcore.kernels.emulator import BuildError


class Cubin(NamedTuple):
    """A compiled file: where it is, and whether it was there already."""

    path: Path
    cached: bool


def translation_unit(file: Path, defines: Mapping[str, object]) -> str:
    """What NVRTC compiles: the macros come after CUDA's own headers, whose templates have a parameter called T."""
    macros = "".join(f"#define {key} {'' if value is True else value}\n" for key, value in sorted(defines.items()))
    return f'#include "common.cuh"\n{macros}#line 1 "{file.name}"\n{file.read_text(encoding="utf-8")}'


def architecture(capability: int) -> str:
    """NVRTC's name of a compute capability, given as 90 for 9.0.

    wgmma and TMA's multicast exist only for the architecture-specific target of 9.0.

    >>> architecture(80), architecture(90)
    ('sm_80', 'sm_90a')
    """
    return "sm_90a" if capability == 90 else f"sm_{capability}"


def compile_options(file: Path, capability: int) -> tuple[str, ...]:
    """NVRTC's options for ``file``, but for the folder of CUDA's own headers."""
    return ("-std=c++17", f"-arch={architecture(capability)}", f"-I{file.parent}")


def cubin(file: Path, defines: Mapping[str, object], capability: int) -> Cubin:
    """``file`` compiled with the macros ``defines`` for GPUs of ``capability``, or found where it is kept.

    Raises ``BuildError`` with NVRTC's own words if it does not compile.
    """
    from cupy.cuda import nvrtc

    unit = translation_unit(file, defines)
    common = file.with_name("common.cuh")
    headers = {**included(file, []), **(included(common, []) if common.exists() else {})}
    # The texts of the headers count, and not where they are.
    texts = [part for path, text in sorted(headers.items()) if path != file for part in (path.name, text)]
    version = ".".join(map(str, nvrtc.getVersion()))
    key = digest([f"NVRTC {version}", architecture(capability), "-std=c++17", unit, *texts])
    path = cache_folder() / f"{re.sub(r'[^A-Za-z0-9_-]', '_', file.stem)}-{key}.cubin"
    if path.exists():
        return Cubin(path, True)
    code = _whole(_compile(unit, file.name, (*compile_options(file, capability), *_cuda_headers())))
    replace(path.parent, path.name, lambda temporary: temporary.write_bytes(code))
    return Cubin(path, False)


@functools.cache
def _cuda_headers() -> tuple[str, ...]:
    """Where ``cuda_fp16.h`` is."""
    import cupy

    root = cupy.cuda.get_cuda_path()
    return () if root is None else (f"-I{Path(root) / 'include'}",)


def _compile(unit: str, name: str, options: tuple[str, ...]) -> bytes:
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(unit, name, (), ())
    try:
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError as error:
            raise BuildError(f"{name} does not compile ({error}):\n{nvrtc.getProgramLog(program)}") from None
        return bytes(nvrtc.getCUBIN(program))
    finally:
        nvrtc.destroyProgram(program)


def _whole(code: bytes) -> bytes:
    """``code`` with the byte that CuPy takes for the end of a text and drops, where the ELF header counts one more.

    The last byte of an ELF file of 64 bits is the highest of a section's or segment's alignment, which is zero.
    """
    if code[:5] != b"\x7fELF\x02":
        return code
    segments, sections = struct.unpack_from("<QQ", code, 32)
    segment_size, segment_count, section_size, section_count = struct.unpack_from("<HHHH", code, 54)
    length = max(segments + segment_size * segment_count, sections + section_size * section_count)
    return code + b"\0" if len(code) == length - 1 else code
