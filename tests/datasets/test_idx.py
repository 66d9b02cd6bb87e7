"""The IDX reader against files made here byte by byte."""

from __future__ import annotations

import gzip
import math
import struct

import numpy as np
import pytest

from deepcore.datasets.idx import read_idx
from deepcore.errors import CorruptedFileError

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(5,), (0,), (3, 7), (2, 3, 5), (1, 1, 1, 1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_back_every_dtype_and_shape(tmp_path, rng, dtype, shape, pack):
    array = (rng.standard_normal(shape) * 100).astype(dtype)
    (tmp_path / "file").write_bytes(pack(idx(array)))
    read = read_idx(tmp_path / "file")
    np.testing.assert_array_equal(read, array, strict=True)
    assert read.dtype.isnative
    assert read.flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\1\0\x08\1" + bytes(8),
        b"\0\0\x07\1" + bytes(8),
        b"\0\0\x08\0" + bytes(8),
        b"\0\0\x08\x21" + struct.pack(">33I", *[1] * 33) + b"\0",
        b"PK\3\4" + bytes(50),
    ],
    ids=["empty", "short", "first bytes", "dtype", "no dimension", "too many dimensions", "zip"],
)
def test_a_wrong_magic_is_named(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorruptedFileError, match=f"file is not an IDX file: it begins with {content[:4].hex(' ')}"):
        read_idx(tmp_path / "file")


def test_a_header_cut_short_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"\0\0\x08\3" + bytes(11))
    with pytest.raises(CorruptedFileError, match="ends inside its header of 3 dimensions"):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("change", "found"), [(-1, r"(at most )?104"), (1, "more")])
def test_data_must_have_the_length_that_the_header_says(tmp_path, rng, pack, change, found):
    content = idx(rng.integers(0, 256, (3, 5, 7), np.uint8))
    (tmp_path / "file").write_bytes(pack(content[:change] if change < 0 else content + b"x"))
    with pytest.raises(CorruptedFileError, match=rf"uint8 \[3, 5, 7\], which is 105 bytes.*holds {found}\."):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_absurd_size_is_refused_before_anything_is_allocated(tmp_path, monkeypatch, pack):
    shape = (2**32 - 1, 2**32 - 1, 3)
    (tmp_path / "file").write_bytes(pack(struct.pack(">HBB3I", 0, 0x0E, 3, *shape) + bytes(100)))

    def refuse(*arguments, **options):
        raise AssertionError("allocated")

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(CorruptedFileError, match=str(8 * math.prod(shape))):
        read_idx(tmp_path / "file")


def test_the_most_compressible_data_are_not_taken_for_absurd(tmp_path):
    array = np.zeros((1000, 1000), np.float64)
    (tmp_path / "file").write_bytes(gzip.compress(idx(array)))
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), array, strict=True)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "checksum", "trailing"])
def test_a_damaged_gzip_file_is_named(tmp_path, rng, damage):
    content = bytearray(gzip.compress(idx(rng.integers(0, 256, 5000, np.uint8))))
    if damage == "truncated":
        del content[-1000:]
    elif damage == "flipped":
        content[12] ^= 0xFF
    elif damage == "checksum":
        content[-8] ^= 1
    else:
        content += b"not gzip"
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(CorruptedFileError, match=r"file.gz"):
        read_idx(tmp_path / "file.gz")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "absent")
