"""The IDX format of MNIST and its successors.

Two zero bytes, a dtype code, the number of dimensions, each dimension as a big-endian 32-bit integer, then the
elements, big-endian, in C order (the format's description is on the MNIST page of LeCun, Cortes and Burges).
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np

from deepcore.datasets.gzip_file import is_gzipped, open_gzip_or_plain
from deepcore.errors import CorruptedFileError

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# NumPy 1.26 makes no array of more.
MAX_RANK = 32

# DEFLATE makes at most 258 bytes of 2 bits, so a gzip file cannot hold more than this many times its own size.
DEFLATE_LIMIT = 1032


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, plain or gzipped.

    Args:
        path: The file.

    Returns:
        A writable array of the shape and dtype that the header gives, in native byte order.

    Raises:
        CorruptedFileError: The header is not one of IDX, or the file holds fewer or more bytes than the header says.
        FileNotFoundError: There is no such file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9]))
    ...     read_idx(path)
    array([7, 0, 9], dtype=uint8)
    """
    path = Path(path)
    with open_gzip_or_plain(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not 1 <= magic[3] <= MAX_RANK:
            raise CorruptedFileError(
                f"{path} is not an IDX file: it begins with {magic.hex(' ')}; expected 00 00, a dtype code "
                f"({', '.join(f'{code:02x}' for code in DTYPES)}) and 01 to {MAX_RANK:02x} dimensions."
            )
        dtype, rank = np.dtype(DTYPES[magic[2]]), magic[3]
        header = file.read(4 * rank)
        if len(header) < 4 * rank:
            raise CorruptedFileError(f"{path} ends inside its header of {rank} dimensions. Get the file again.")
        shape = struct.unpack(f">{rank}I", header)

        expected = math.prod(shape) * dtype.itemsize
        on_disk = path.stat().st_size
        most = DEFLATE_LIMIT * on_disk if is_gzipped(path) else on_disk - len(magic) - len(header)
        # Before anything of that size is allocated: a damaged header can ask for terabytes.
        if expected > most:
            raise _wrong_length(path, shape, dtype, expected, f"at most {most}")

        data = np.empty(expected, np.uint8)
        filled = 0
        while filled < expected and (count := file.readinto(data[filled:])):  # type: ignore[attr-defined]
            filled += count
        if filled < expected:
            raise _wrong_length(path, shape, dtype, expected, str(filled))
        if file.read(1):
            raise _wrong_length(path, shape, dtype, expected, "more")
    return data.view(dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def _wrong_length(path: Path, shape: tuple[int, ...], dtype: np.dtype, expected: int, found: str) -> CorruptedFileError:
    return CorruptedFileError(
        f"{path}: its header says {dtype.name} {list(shape)}, which is {expected} bytes, but the file holds {found}. "
        "Get the file again."
    )
