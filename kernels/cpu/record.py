"""What tasks are told: records of addresses, sizes and strides in bytes, which Python fills in and native code reads.

Counts and addresses are int64. A record, and what its addresses name, must live until the launch that it was made for
has returned.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np

# Where a worker's own memory lies, and how much there is for each: the last fields of a record that has them.
SCRATCH = ("scratch", "scratch_bytes")


def _record(names: str) -> np.dtype:
    return np.dtype([(name, np.int64) for name in names.split()])


def offset(record: np.dtype, field: str) -> int:
    """Where a field lies in a record, in bytes."""
    fields: Any = record.fields
    return int(fields[field][1])


# Behind its head, NumPy's C struct of an array begins with the address of its data (the C-API's PyArrayObject_fields).
_DATA = object.__basicsize__


def address(array: np.ndarray) -> int:
    """Where the array's data begin."""
    return ctypes.c_ssize_t.from_address(id(array) + _DATA).value


def _slow_address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


_probe = np.zeros(4)[1:]
if sys.implementation.name != "cpython" or address(_probe) != _slow_address(_probe):
    address = _slow_address  # ten times slower, wherever the struct is another


# The pool of threads: who has it, and what is being launched. The mutex and conditions are of the C library.
POOL = _record(
    """
    mutex work done
    taken launch ticket finished count task told workers patience
    """
)

# What is to be launched; in front of the record that the task is told.
REQUEST = _record("task told count")

# A loop of Numba's ``parallel`` functions, cut into ``parts``: what it hands to its own pools.
NUMBA_LOOP = _record("function arguments dimensions steps data inner_dimensions arrays parts")


# The strides of a register tile, in bytes; see ``tile.py``.
TILE = np.dtype(
    [
        ("a_row", np.int64),  # from one row of the tile to the next
        ("a_step", np.int64),  # from one step to the next
        ("offsets", np.int64),  # address of where each run starts in a, int64 bytes
        ("b_step", np.int64),  # from one step to the next; one run of b follows the other
        ("b_bytes", np.int64),  # of all runs: where b ends
        ("steps", np.int64),
        ("runs", np.int64),
        ("init_row", np.int64),  # 0: the same for all rows, which a bias is
        ("c_row", np.int64),
        ("lanes", np.int64),  # elements of the last vector that exist, for a tail
        ("floor", np.float32),  # results are clamped to [floor, ceiling]
        ("ceiling", np.float32),
    ]
)

# One convolution of stride and dilation: y gathers from x. ``told`` has two ``TILE`` for each part of the runs, that of
# the wide blocks of output channels and that of the last, narrower one.
CORRELATE = _record(
    """
    x x_image x_row x_pixel x_group in_rows in_columns
    y y_image y_row y_pixel y_group out_rows
    w w_group bias bias_group
    row_stride column_stride before_rows before_columns reach_rows
    padded buffer_row
    groups rows blocks
    told parts part_bytes
    wide wide_bytes wide_w wide_tall wide_low last_tall last_low wide_told last_told
    tall tall_rows low
    channel_tasks channel_blocks
    scratch scratch_bytes
    """
)

# Weights put in the order in which tiles read them; the ``w_`` fields are strides, which may be negative.
PACK = _record(
    """
    w w_group w_row w_column w_depth w_width
    packed group_bytes
    rows columns depth
    wide wide_bytes wide_block last_bytes last_filled
    """
)

# The gradient at the weights, in ``pieces`` of the images' rows that are summed afterwards. The rows of a tile are
# neighbouring inputs under one tap, its steps are pixels.
WEIGHTS = _record(
    """
    x x_image x_row x_pixel x_group in_rows in_columns
    dy dy_row dy_group out_rows out_columns
    dw dw_row dw_group dw_run dw_piece
    row_stride before_rows before_columns reach_rows
    padded buffer_row buffer_pixel a_row panel strip
    groups rows blocks pieces all_blocks
    told part_bytes starts runs row_tasks
    wide wide_bytes last_bytes last_filled wide_tall wide_low last_tall last_low wide_told last_told
    tall tall_rows low
    channel_tasks channel_blocks
    scratch scratch_bytes
    """
)

# Weights of Winograd's convolution, which are transformed by blocks of output channels; ``w_width`` is a float's size,
# or else ``w_depth`` is.
_WINOGRAD_WEIGHTS = """
    w w_row w_tap w_depth w_width
    weights weights_tail transpose transpose_tail vector_bytes m
    wide wide_vectors wide_bytes last_vectors last_tail last_bytes
    depth part_depth
    u u_place
"""

# All of them at once: [3, 3, depth, width] to [place, (block of channels, depth, channel of the block)].
WINOGRAD_WEIGHTS = _record(_WINOGRAD_WEIGHTS + "parts scratch scratch_bytes")

# Winograd's convolution 3 x 3 of stride 1: a block of tiles at a time, for ``channel_blocks`` blocks of output
# channels. ``told`` has two ``TILE`` for each part of the depth, that of the wide blocks and that of the last one.
WINOGRAD = _record(
    _WINOGRAD_WEIGHTS
    + """
    x x_image x_row x_pixel in_rows in_columns depth_vectors depth_tail
    y y_image y_row y_pixel out_rows out_columns
    bias clamp zeros
    before_rows before_columns
    tile_rows tile_columns tiles blocks
    v_part v_place v_tile part_vectors sums_at sums_place sums_tile u_at patch_at
    input input_tail output output_tail output_stream
    told parts part_bytes
    wide_tall wide_low last_tall last_low wide_told last_told
    tall_rows channel_tasks channel_blocks
    scratch scratch_bytes
    """
)

# Winograd's gradient at the weights, for one chunk of tiles: first the transforms of x and dy, whose channels may lie
# in parts of a few vectors, ...
WINOGRAD_GRADIENT = _record(
    """
    x x_image x_row x_pixel in_rows in_columns depth_vectors depth_tail
    dy dy_image dy_row dy_pixel out_rows out_columns width_vectors width_tail
    depth_parts part_vectors width_parts block_vectors
    before_rows before_columns m
    tile_rows tile_columns first last step
    v v_part v_place v_tile d d_part d_place d_tile
    input input_tail output output_tail vector_bytes
    scratch scratch_bytes
    """
)

# ... then a product for each place, added to the sums, ...
WINOGRAD_PRODUCTS = _record(
    """
    v v_place d d_place sums sums_place sums_row
    told wide wide_bytes wide_tall wide_low last_tall last_low wide_told last_told
    tall tall_rows low parts
    """
)

# ... or, where all tiles are one chunk, the products of a part of x's channels and a block of dy's, and at once the way
# back; ``told`` has two ``TILE`` for each run of tiles.
WINOGRAD_BLOCK = _record(
    """
    v v_part v_place v_tile d d_part d_place d_tile
    depth parts part_depth runs run_tiles zeros
    told run_bytes wide wide_vectors wide_bytes wide_kernel last_kernel last_vectors last_tail wide_told last_told
    tile_rows sums_place sums_row
    dw dw_tap dw_depth kernel tail_kernel vector_bytes
    scratch scratch_bytes
    """
)

# ... and once for all the way back from the places: [place, depth, width] to [9, depth, width].
WINOGRAD_RESULT = _record(
    "sums sums_row sums_place sums_depth dw dw_tap dw_depth vectors tail kernel tail_kernel vector_bytes"
)

# A depthwise convolution with one output a channel.
_WINDOWS = """
    x x_image x_row x_pixel in_rows in_columns
    row_stride column_stride row_dilation before_rows before_columns taps reach_rows reach_columns
    copied window_pixel buffer_row buffer_columns
    outputs tall low tall_kernel low_kernel tall_tail low_tail
    vectors lanes vector_bytes w_tap out_rows rows blocks
"""
DEPTHWISE = _record(_WINDOWS + "y y_image y_row y_pixel w bias clamp scratch scratch_bytes")
DEPTHWISE_WEIGHTS = _record(_WINDOWS + "dy dy_row dw dw_piece pieces all_blocks scratch scratch_bytes")
