"""Code of an object file, put where it can run, without LLVM, whose import takes longer than all the rest of a start.

LLVM compiles for parts that may lie anywhere: what code refers to, its own constants or a function of the C library,
it names by the eight bytes of an address. So linking is to put the parts into memory and these addresses into them.

The names and numbers are those of the System V ABI, chapters 4 and 5, and of its supplement for AMD64, section 4.4.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import NamedTuple

import numpy as np

from deepcore.kernels.cpu.record import address

_OBJECT = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian, version 1
_RELOCATABLE_X86_64 = struct.pack("<HH", 1, 62)
_PROGBITS, _SYMTAB, _RELA, _REL = 1, 2, 4, 9
_WRITE, _ALLOC = 1, 2
_UNDEFINED = 0
_R_X86_64_64 = 1

_c_library = ctypes.CDLL(None)


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


def loaded(code: bytes, name: str) -> int | None:
    """The address of the function ``name`` of an object file; None if it takes more to link it than is done here.

    The memory is never given back: threads may still be in it when the process ends.
    """
    if not code.startswith(_OBJECT) or code[16:20] != _RELOCATABLE_X86_64:
        return None
    sections = _sections(code)
    symbols = _symbols(code, sections)
    places, size = _places(sections)
    found = [symbol for symbol in symbols if symbol.name == name and symbol.section in places]
    if not found:
        return None
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = address(np.frombuffer(memory, np.uint8))
    for number, place in places.items():
        part = _part(code, sections[number])
        memory[place : place + len(part)] = part
    for section in sections:
        if section.info not in places or section.kind not in (_RELA, _REL):
            continue
        for offset, kind, symbol, addend in struct.iter_unpack("<QIIq", _part(code, section)):
            meant = _address(symbols[symbol], base, places)
            if section.kind != _RELA or kind != _R_X86_64_64 or meant is None:
                return None
            struct.pack_into("<Q", memory, places[section.info] + offset, meant + addend)
    if _c_library.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_EXEC):
        return None
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
    return _address(found[0], base, places)


def _part(code: bytes, section: _Section) -> bytes:
    return code[section.offset : section.offset + section.size]


def _sections(code: bytes) -> list[_Section]:
    (start,), (count,) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<H", code, 60)
    return [_Section(*fields) for fields in struct.iter_unpack("<IIQQQQIIQQ", code[start : start + 64 * count])]


def _symbols(code: bytes, sections: list[_Section]) -> list[_Symbol]:
    (table,) = (section for section in sections if section.kind == _SYMTAB)
    names = _part(code, sections[table.link])
    return [
        _Symbol(names[start : names.index(b"\0", start)].decode(), section, value)
        for start, _, section, value, _ in struct.iter_unpack("<IHHQQ", _part(code, table))
    ]


def _places(sections: list[_Section]) -> tuple[dict[int, int], int]:
    """Where in memory each section comes to lie that code needs, by its number; and how many bytes they take.

    What is written to, or begins as zeros, is not among them: who refers to it is not linked here.
    """
    places, size = {}, 0
    for number, section in enumerate(sections):
        if section.kind == _PROGBITS and section.flags & (_ALLOC | _WRITE) == _ALLOC and section.size:
            places[number] = -(-size // section.alignment) * section.alignment
            size = places[number] + section.size
    return places, size


def _address(symbol: _Symbol, base: int, places: dict[int, int]) -> int | None:
    """Where a symbol lies: in this file, or in what the process has loaded."""
    if symbol.section in places:
        return base + places[symbol.section] + symbol.value
    if symbol.section == _UNDEFINED and hasattr(_c_library, symbol.name):
        return ctypes.cast(getattr(_c_library, symbol.name), ctypes.c_void_p).value
    return None
