"""Object files are brought to memory as LLVM would, or left to LLVM."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

import numpy as np
import pytest

from deepcore.kernels.cpu import compiler, elf
from deepcore.kernels.cpu.host import _told_by_linux, host
from deepcore.kernels.cpu.record import address

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64",
    reason="elsewhere object files are LLVM's",
)

# A constant, which lies in a section of its own; a function of the C library; and one of its library of mathematics.
CODE = """
@table = private constant [4 x i64] [i64 3, i64 1, i64 4, i64 1], align 32
declare i8* @memset(i8*, i32, i64)
declare double @sqrt(double)

define void @work(i64 %target, i64 %index) {
  %bytes = inttoptr i64 %target to i8*
  call i8* @memset(i8* %bytes, i32 255, i64 32)
  %entry = getelementptr [4 x i64], [4 x i64]* @table, i64 0, i64 %index
  %value = load volatile i64, i64* %entry
  %place = inttoptr i64 %target to i64*
  store i64 %value, i64* %place
  %number = sitofp i64 %value to double
  %half = fmul double %number, 2.5e-1
  %root = call double @sqrt(double %half)
  %second = add i64 %target, 8
  %here = inttoptr i64 %second to double*
  store double %root, double* %here
  ret void
}
"""
WRITTEN_TO = """
@count = internal global i64 7
define i64 @work() {
  %old = load i64, i64* @count
  %new = add i64 %old, 1
  store i64 %new, i64* @count
  ret i64 %new
}
"""
UNKNOWN = """
declare void @no_library_has_this()
define void @work() {
  call void @no_library_has_this()
  ret void
}
"""


def object_file(text: str) -> bytes:
    return compiler.compiled(text, host())


@pytest.mark.parametrize("index", range(4))
def test_code_finds_its_constants_and_the_libraries(index):
    where = elf.loaded(object_file(CODE), "work")
    assert where is not None
    result = np.zeros(5, np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(where)(address(result), index)
    value = (3, 1, 4, 1)[index]
    assert result.tolist() == [value, np.sqrt(value / 4).view(np.int64), -1, -1, 0]


@pytest.mark.parametrize("text", [WRITTEN_TO, UNKNOWN], ids=["memory that is written to", "a function of nobody"])
def test_what_takes_more_is_left_to_llvm(text):
    assert elf.loaded(object_file(text), "work") is None


def test_another_relocation_is_left_to_llvm():
    code = bytearray(object_file(CODE))
    (start,), (count,) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<H", code, 60)
    changed = 0
    for section in range(count):
        kind, offset, size = (struct.unpack_from("<IIQQQQ", code, start + 64 * section)[at] for at in (1, 4, 5))
        for entry in range(offset, offset + size, 24) if kind == 4 else ():
            if code[entry + 8] == 1:
                code[entry + 8] = 10  # R_X86_64_32
                changed += 1
    assert changed
    assert elf.loaded(bytes(code), "work") is None


@pytest.mark.parametrize(("place", "value"), [(0, 0), (4, 1), (16, 3), (18, 183)])
def test_another_kind_of_file_is_left_to_llvm(place, value):
    code = bytearray(object_file(CODE))
    code[place] = value
    assert elf.loaded(bytes(code), "work") is None


def test_a_function_that_is_not_there_is_not_found():
    assert elf.loaded(object_file(CODE), "play") is None
    assert elf.loaded(object_file(CODE), "memset") is None


def test_linux_and_llvm_say_the_same_of_this_processor():
    linux, (_, features) = _told_by_linux(), compiler.processor()
    assert linux is not None
    asked = {"avx2", "fma", "avx512f", "avx512vl", "avx512dq"}
    assert linux.features & asked == features & asked
