"""What a kernel's arguments are: read from its declaration in the ``.cu`` file, the one place where they are written.

The launcher on a GPU and the emulator both check a call against a :class:`Signature` before anything runs.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

BFLOAT16 = np.dtype(np.uint16)
"""The dtype that carries the bits of ``__nv_bfloat16``, for which NumPy has none of its own."""

_SCALARS: dict[str, str] = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "__half": "float16",
    "nv_bfloat16": "uint16",
    "__nv_bfloat16": "uint16",
    "bool": "bool",
    "char": "int8",
    "signed char": "int8",
    "unsigned char": "uint8",
    "short": "int16",
    "unsigned short": "uint16",
    "int": "int32",
    "unsigned": "uint32",
    "unsigned int": "uint32",
    "long": "int64",
    "unsigned long": "uint64",
    "long long": "int64",
    "unsigned long long": "uint64",
    "size_t": "uint64",
    "ptrdiff_t": "int64",
    "half2": "float16",
    "__half2": "float16",
    "nv_bfloat162": "uint16",
    "__nv_bfloat162": "uint16",
    **{f"{kind}{bits}_t": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
_VECTOR = re.compile(r"(u?(?:char|short|int|longlong)|float|double)([1234])")
_VECTOR_SCALARS = {
    "char": "int8",
    "uchar": "uint8",
    "short": "int16",
    "ushort": "uint16",
    "int": "int32",
    "uint": "uint32",
    "longlong": "int64",
    "ulonglong": "uint64",
    "float": "float32",
    "double": "float64",
}
_QUALIFIERS = re.compile(r"\b(const|volatile|__restrict__|__restrict|restrict|__grid_constant__|struct)\b")


# Limits of every GPU since compute capability 3.0, and the shared memory that one of 9.0 gives a block (CUDA C++
# Programming Guide, technical specifications).
LARGEST_GRID = (2**31 - 1, 65535, 65535)
LARGEST_BLOCK = (1024, 1024, 64)
MOST_THREADS = 1024
MOST_SHARED = 227 << 10

Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    Attributes:
        name: as declared.
        type: the declared type without qualifiers, macros resolved: ``"float*"``, ``"int"``.
        dtype: of a scalar, or of the elements behind a pointer; ``None`` for ``void*`` and for structures.
        is_pointer: whether an array is expected.
        is_const: whether the kernel promises not to write to the array.
        alignment: bytes that the array's address must be a multiple of (16 for ``float4*``).
    """

    name: str
    type: str
    dtype: np.dtype | None
    is_pointer: bool
    is_const: bool
    alignment: int = 1

    def __str__(self) -> str:
        return f"{'const ' if self.is_const and self.is_pointer else ''}{self.type} {self.name}"


@dataclass(frozen=True)
class Signature:
    """A kernel's name, parameters, and what its ``__launch_bounds__`` promise (``None``: nothing)."""

    name: str
    parameters: tuple[Parameter, ...]
    max_threads: int | None = None
    min_blocks: int | None = None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parameters))})"


def strip_comments(source: str) -> str:
    """``source`` without comments, every line where it was; strings keep what looks like one.

    >>> strip_comments('int x; // one' + chr(10) + 'char* s = "//"; /* two */ int y;')
    'int x;  \\nchar* s = "//";   int y;'
    """

    def blank(match: re.Match[str]) -> str:
        text = match.group()
        return text if text[0] in "\"'" else " " + "\n" * text.count("\n")

    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', blank, source, flags=re.DOTALL)


def parse_signatures(
    source: str, defines: Mapping[str, object] | None = None, included: str = ""
) -> dict[str, Signature]:
    """The kernels that ``source`` declares, by name; templates are left out, since they have no one signature.

    Args:
        source: text of a ``.cu`` file.
        defines: macros given on the command line; they may name types (``{"T": "float"}``) and sizes.
        included: text of the files that it includes, for the type names and constants in them.

    Raises:
        ValueError: a parameter's type is not known; the message names kernel, parameter and type.

    >>> text = 'extern "C" __global__ void scale(const T* __restrict__ x, T* y, float a, int n) { }'
    >>> print(parse_signatures(text, {"T": "float"})["scale"])
    scale(const float* x, float* y, float a, int n)
    """
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', strip_comments(source))
    names = {
        **_names(strip_comments(included)),
        **_names(text),
        **{name: str(value) for name, value in (defines or {}).items()},
    }
    signatures: dict[str, Signature] = {}
    for match in re.finditer(r"__global__\b", text):
        before = text[max(text.rfind(mark, 0, match.start()) for mark in (";", "}", "{")) + 1 : match.start()]
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if re.search(r"\btemplate\b", before) or line.lstrip().startswith("#"):
            continue
        declaration = _declaration(text, match.end())
        if declaration is None:
            continue
        head, name, inside = declaration
        bounds = re.search(r"__launch_bounds__\s*\(", head)
        limits: list[int | None] = [None, None]
        if bounds:
            given = _split(_balanced(head, bounds.end() - 1)[1:-1])
            limits = [_integer(value, names) for value in given[:2]] + [None] * (2 - len(given[:2]))
        parameters = tuple(_parameter(name, piece, names) for piece in _split(inside) if piece.strip() != "void")
        signatures[name] = Signature(name, parameters, limits[0], limits[1])
    return signatures


def _names(text: str) -> dict[str, str]:
    """Macros, type names and integer constants that ``text`` defines; the first definition stands."""
    patterns = (
        r"^[ \t]*#[ \t]*define[ \t]+(?P<name>\w+)[ \t]+(?P<value>[^\n(]\S*(?:[ \t]+\S+)*)[ \t]*$",
        r"\busing\s+(?P<name>\w+)\s*=\s*(?P<value>[^;]+);",
        r"\btypedef\s+(?P<value>[\w\s]+?)\s+(?P<name>\w+)\s*;",
        r"\bconstexpr\s+(?:static\s+)?(?:int|unsigned|size_t|auto)\s+(?P<name>\w+)\s*=\s*(?P<value>[^;]+);",
    )
    found: dict[str, str] = {}
    for pattern in patterns:
        for match in re.finditer(pattern, text, flags=re.MULTILINE):
            found.setdefault(match["name"], match["value"].strip())
    return found


def _balanced(text: str, start: int) -> str:
    """The text from the bracket at ``start`` to the one that closes it."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return text[start : i + 1]
    return text[start:]


def _declaration(text: str, start: int) -> tuple[str, str, str] | None:
    """What is before the name, the name, and what is between the brackets, of the kernel declared at ``start``."""
    position = start
    while True:
        match = re.compile(r"(\w+)\s*\(").search(text, position)
        if match is None or ";" in text[start : match.start()] or "{" in text[start : match.start()]:
            return None
        brackets = _balanced(text, match.end() - 1)
        if match[1] not in ("__launch_bounds__", "__cluster_dims__", "__align__", "__maxnreg__", "__attribute__"):
            return text[start : match.start()], match[1], brackets[1:-1]
        position = match.end() - 1 + len(brackets)


def _split(text: str) -> list[str]:
    """Splits at the commas that are in no bracket."""
    pieces, depth, last = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "(<[{") - (character in ")>]}")
        if character == "," and depth == 0:
            pieces.append(text[last:i])
            last = i + 1
    pieces.append(text[last:])
    return [piece for piece in pieces if piece.strip()]


def _resolve(name: str, names: Mapping[str, str]) -> str:
    """``name`` with macros and type names replaced by what they stand for."""
    for _ in range(16):
        words = [names.get(word, word) for word in name.split()]
        resolved = " ".join(" ".join(words).split()).replace("std::", "")
        if resolved == name:
            break
        name = resolved
    return name


def _parameter(kernel: str, piece: str, names: Mapping[str, str]) -> Parameter:
    text = piece.split("=")[0].replace("*", " * ").replace("&", " & ").replace("[]", "[ ]")
    match = re.fullmatch(r"\s*(?P<type>.*?)\s*\b(?P<name>\w+)\s*(?P<array>\[\s*\])?\s*", text, flags=re.DOTALL)
    if match is None or not match["type"]:
        raise ValueError(f"Kernel '{kernel}': the parameter '{' '.join(piece.split())}' has no name or no type.")
    whole = match["type"] + (" *" if match["array"] else "")
    levels = whole.count("*")
    base, _, _ = whole.partition("*")
    base = _resolve(" ".join(base.split()), names)
    is_const = re.search(r"\bconst\b", base) is not None
    base = " ".join(_QUALIFIERS.sub(" ", base).split())
    base = _order(base)
    dtype, alignment = _dtype(base)
    if "&" in whole:
        raise ValueError(f"Kernel '{kernel}': the parameter '{' '.join(piece.split())}' is a reference. Pass a value.")
    if levels > 1:
        dtype, alignment, is_const = np.dtype(np.uint64), 8, True
    known = dtype is not None or re.fullmatch(r"[A-Za-z_][\w:]*(<.*>)?", base) is not None
    if not known:
        raise ValueError(
            f"Kernel '{kernel}': the type '{base}' of parameter '{match['name']}' is not known. If it is a macro, give "
            f"it in `defines`, such as {{'{base}': 'float'}}."
        )
    return Parameter(match["name"], base + "*" * levels, dtype, levels > 0, is_const, alignment)


def _order(base: str) -> str:
    """The usual spelling of an integer type: ``int unsigned`` is ``unsigned int``, ``long int`` is ``long``."""
    words = base.split()
    if len(words) > 1 and set(words) <= {"unsigned", "signed", "int", "long", "short", "char"}:
        sign = [w for w in words if w == "unsigned" or (w == "signed" and "char" in words)]
        size = [w for w in words if w in ("long", "short", "char")]
        return " ".join(sign + size) or "int"
    return base


def _dtype(base: str) -> tuple[np.dtype | None, int]:
    """The dtype of the elements of C type ``base`` and its alignment; ``None`` for a structure."""
    if base in _SCALARS:
        dtype = np.dtype(_SCALARS[base])
        return dtype, dtype.itemsize * (2 if base.endswith(("half2", "bfloat162")) else 1)
    vector = _VECTOR.fullmatch(base)
    if vector:
        dtype = np.dtype(_VECTOR_SCALARS[vector[1]])
        lanes = {"1": 1, "2": 2, "3": 1, "4": 4}[vector[2]]
        return dtype, min(16, dtype.itemsize * lanes)
    return None, 1


_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.LShift: operator.lshift,
}


def _integer(text: str, names: Mapping[str, str]) -> int | None:
    """The value of a constant expression of ``+ - * / <<``, numbers and known names; ``None`` if it is another one."""

    def value(node: ast.expr, depth: int) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left, depth), value(node.right, depth))
        if isinstance(node, ast.Name) and node.id in names and depth < 16:
            return value(ast.parse(names[node.id], mode="eval").body, depth + 1)
        raise ValueError

    try:
        return value(ast.parse(text.strip(), mode="eval").body, 0)
    except (ValueError, SyntaxError, ZeroDivisionError):
        return None


def launch_sizes(signature: Signature, grid: Any, block: Any, shared: int) -> tuple[Sizes, Sizes]:
    """Grid and block as three sizes each.

    Raises:
        ValueError: something else than one to three whole numbers, more threads than a block may have, or more shared
            memory than there is; the message names the kernel.
    """
    sizes = _sizes(signature, "grid", grid, LARGEST_GRID), _sizes(signature, "block", block, LARGEST_BLOCK)
    threads = sizes[1][0] * sizes[1][1] * sizes[1][2]
    most = min(MOST_THREADS, signature.max_threads or MOST_THREADS)
    if threads > most:
        reason = "its __launch_bounds__ promise" if signature.max_threads else "a block has"
        raise ValueError(
            f"Kernel '{signature.name}': a block of {threads} threads was asked for; {reason} at most {most}."
        )
    if not 0 <= shared <= MOST_SHARED:
        raise ValueError(
            f"Kernel '{signature.name}': {shared} bytes of dynamic shared memory were asked for; a block has at most "
            f"{MOST_SHARED}."
        )
    return sizes


def _sizes(signature: Signature, what: str, given: Any, largest: Sizes) -> Sizes:
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    sizes += (1,) * (3 - len(sizes))
    whole = all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in sizes)
    if not whole or len(sizes) != 3 or any(not 1 <= n <= most for n, most in zip(sizes, largest, strict=True)):
        raise ValueError(
            f"Kernel '{signature.name}': {what} {given!r} was passed; one to three whole numbers are expected, from 1 "
            f"to {largest}."
        )
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def check_array(kernel: str, parameter: Parameter, value: Any) -> np.ndarray:
    """``value``, if it is an array that ``parameter`` can point to.

    Raises:
        TypeError: not an array, or of another dtype.
        ValueError: not C-contiguous, or not writeable though the kernel writes to it.
    """
    where = f"Kernel '{kernel}', argument '{parameter.name}' ({parameter})"
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{where}: {type(value).__name__} was passed; a NumPy array of {parameter.dtype} is expected.")
    is_bfloat16 = "bfloat16" in parameter.type and value.dtype.name == "bfloat16"
    if parameter.dtype is not None and value.dtype != parameter.dtype and not is_bfloat16:
        raise TypeError(
            f"{where}: an array of {value.dtype} was passed; {parameter.dtype} is expected. "
            f"Convert it: {parameter.name}.astype(numpy.{parameter.dtype})."
        )
    if not value.flags.c_contiguous:
        raise ValueError(
            f"{where}: an array of shape {value.shape} with strides {value.strides} was passed; a C-contiguous one is "
            f"expected. Copy it: numpy.ascontiguousarray({parameter.name})."
        )
    if not parameter.is_const and not value.flags.writeable:
        raise ValueError(f"{where}: a read-only array was passed; the kernel may write to it. Pass a copy.")
    return value


def convert_scalar(kernel: str, parameter: Parameter, value: Any) -> np.ndarray:
    """``value`` as one element of the parameter's dtype; whole numbers may become floating ones, never the reverse.

    Raises:
        TypeError: not a number, or a floating number for a whole one.
        ValueError: too large for the type.
    """
    where = f"Kernel '{kernel}', argument '{parameter.name}' ({parameter})"
    dtype = parameter.dtype
    assert dtype is not None
    is_bool = isinstance(value, (bool, np.bool_))
    whole = isinstance(value, (int, np.integer)) or is_bool
    if not whole and not isinstance(value, (float, np.floating)):
        raise TypeError(f"{where}: {type(value).__name__} was passed; a number of type {parameter.type} is expected.")
    if dtype.kind == "f":
        return np.array([value], dtype)
    if "bfloat16" in parameter.type:
        bits = np.array([value], np.float32).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    if not whole:
        raise TypeError(
            f"{where}: the {type(value).__name__} {value!r} was passed; a whole number is expected. Write int(...)."
        )
    if dtype.kind == "b":
        return np.array([bool(value)], dtype)
    limits = np.iinfo(dtype)
    if not limits.min <= int(value) <= limits.max:
        raise ValueError(f"{where}: {value} was passed; {parameter.type} holds {limits.min} to {limits.max}.")
    return np.array([int(value)], dtype)
