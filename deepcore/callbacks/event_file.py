"""TensorBoard's event files: records with checksums, each a protocol-buffers message.

A record is the length of its data (8 bytes), the masked CRC-32C of those bytes, the data, and the masked CRC-32C of it,
all little-endian: TensorFlow's lib/io/record_writer. The messages are Event, Summary, TensorProto and GraphDef, by the
field numbers of TensorFlow's event.proto, summary.proto, tensor.proto and graph.proto; protocol buffers' encoding.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

_FLOAT, _DOUBLE, _STRING = 1, 2, 7  # of types.proto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_numbers = itertools.count()


class EventFile:
    """An event file that is written to; made when something is first written.

    Args:
        directory: where it lies, one for each curve of a chart.
    """

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        host, number = socket.gethostname(), next(_numbers)
        name = f"events.out.tfevents.{int(time.time()):010d}.{host}.{os.getpid()}.{number}.v2"
        self._file = open(os.path.join(directory, name), "wb")  # noqa: SIM115
        self._event(text(3, "brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A point of a curve."""
        tensor = number(1, _FLOAT) + message(2, b"") + packed(5, struct.pack("<f", value))
        self._value(tag, "scalars", tensor, step)

    def histogram(self, tag: str, values: Any, step: int, buckets: int = 30) -> None:
        """How often values lie in each of some intervals."""
        rows = histogram_of(np.asarray(values, np.float64), buckets)
        shape = b"".join(message(2, number(1, size)) for size in rows.shape)
        tensor = number(1, _DOUBLE) + message(2, shape) + packed(6, rows.astype("<f8").tobytes())
        self._value(tag, "histograms", tensor, step)

    def image(self, tag: str, images: Any, step: int) -> None:
        """Images of bytes [n, height, width, 1 or 3]."""
        count, height, width, _ = images.shape
        parts = [str(width).encode(), str(height).encode(), *(png_of(one) for one in images)]
        shape = message(2, message(2, number(1, 2 + count)))
        tensor = number(1, _STRING) + shape + b"".join(message(8, part) for part in parts)
        self._value(tag, "images", tensor, step)

    def graph(self, nodes: Iterable[tuple[str, str, list[str]]]) -> None:
        """A graph of nodes (name, kind, names of those it gets its inputs from)."""
        listed = (
            message(1, text(1, name) + text(2, kind) + b"".join(text(3, source) for source in inputs))
            for name, kind, inputs in nodes
        )
        self._event(message(4, b"".join(listed) + message(4, number(1, 22))))

    def _value(self, tag: str, plugin: str, tensor: bytes, step: int) -> None:
        metadata = message(1, text(1, plugin))
        value = text(1, tag) + message(9, metadata) + message(8, tensor)
        self._event(number(2, step) + message(5, message(1, value)))

    def _event(self, content: bytes) -> None:
        self._file.write(record(_key(1, _FIXED64) + struct.pack("<d", time.time()) + content))

    def flush(self) -> None:
        """Hands everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


def histogram_of(values: np.ndarray[Any, Any], buckets: int) -> np.ndarray[Any, Any]:
    """Rows (left edge, right edge, count) of equally wide intervals; one of width 1 where all values are equal.

    >>> histogram_of(np.array([0.0, 0.0, 1.0]), 2).tolist()
    [[0.0, 0.5, 2.0], [0.5, 1.0, 1.0]]
    """
    flat = values.reshape(-1)
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return np.zeros((0, 3))
    low, high = flat.min(), flat.max()
    if low == high:
        return np.array([[low - 0.5, high + 0.5, flat.size]])
    counts, edges = np.histogram(flat, buckets, (low, high))
    return np.stack([edges[:-1], edges[1:], counts], 1)


def png_of(image: np.ndarray[Any, Any]) -> bytes:
    """A file of an image of bytes [height, width, 1 or 3]. ISO/IEC 15948."""
    height, width, channels = image.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + np.ascontiguousarray(row, np.uint8).tobytes() for row in image)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def record(data: bytes) -> bytes:
    """``data`` with its length and checksums."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """The checksum of a record: CRC-32C, rotated by 15 bits and with a constant added, for records within records."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), RFC 3720.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# The encoding of messages


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def number(field: int, value: int) -> bytes:
    """An integer field."""
    return _key(field, _VARINT) + _varint(int(value))


def message(field: int, content: bytes) -> bytes:
    """A field that is a message, or bytes."""
    return _key(field, _BYTES) + _varint(len(content)) + content


packed = message  # numbers one after the other are bytes, too


def text(field: int, content: str) -> bytes:
    """A field that is text."""
    return message(field, content.encode())
