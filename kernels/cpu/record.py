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


_number_at = ctypes.c_ssize_t.from_address


def address(array: np.ndarray) -> int:
    """Where the array's data begin."""
    return _number_at(id(array) + _DATA).value


def addresses(*arrays: np.ndarray | None) -> list[int]:
    """Where the data of each begin; 0 for None."""
    return [0 if array is None else _number_at(id(array) + _DATA).value for array in arrays]


def _slow_address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _slow_addresses(*arrays: np.ndarray | None) -> list[int]:
    return [0 if array is None else _slow_address(array) for array in arrays]


_probe = np.zeros(4)[1:]
if sys.implementation.name != "cpython" or address(_probe) != _slow_address(_probe):
    address, addresses = _slow_address, _slow_addresses  # ten times slower, wherever the struct is another


CORE_SET = 128  # bytes of a set of cores, as the system takes it: a bit each

# The pool of threads: who has it, and what is being launched. The mutex and conditions are of the C library. Threads
# that wait look ``looks`` times before they sleep: ``patience`` from each launch on, until they are told to rest. Their
# ``threads`` are the system's numbers; for the thread ``owner`` they are kept off its ``core`` since the launch
# ``parted``, by the set ``allowed``. What all write during a launch, ``ticket`` and ``finished``, lies more than a line
# of the cache behind what they read for each index.
POOL = _record(
    """
    launch count task told looks
    mutex work done taken workers patience threads owner core parted allowed
    ticket finished
    """
)

# What is to be launched; in front of the record that the task is told.
REQUEST = _record("task told count")

# Several launches in one: ``order`` is the address of a pair for each index, which says where the request of its part
# lies, in bytes from here on, and which index of that part it is.
PARTS = _record("order")


# The strides of a register tile, in bytes; see ``tile.py``.
TILE = np.dtype(
    [
        ("a_row", np.int64),  # from one row of the tile to the next
        ("a_step", np.int64),  # from one step to the next
        ("offsets", np.int64),  # address of where each run starts in a, int64 bytes
        ("b_step", np.int64),  # from one step to the next
        ("b_run", np.int64),  # from one run of b to the next, for a row tile (``row.py``)
        ("b_skip", np.int64),  # between the end of one run of b and the next, for a register tile
        ("steps", np.int64),
        ("runs", np.int64),
        ("next_a", np.int64),  # from a run's start to what the next tile will read there, asked for from step to step
        ("next_step", np.int64),  # bytes of that for every step of this tile
        ("next_b", np.int64),  # from b to what a row tile asks for ahead, from step to step
        ("init_row", np.int64),  # 0: the same for all rows, which a bias is
        ("c_row", np.int64),
        ("c_element", np.int64),  # from the sums with one element of a to those with the next, for a row tile
        ("lanes", np.int64),  # elements of the last vector that exist, for a tail
        ("floor", np.float32),  # results are clamped to [floor, ceiling]
        ("ceiling", np.float32),
    ]
)

# A call of a tile within a row of outputs, in bytes from where the row's own begin; for a wide block of channels, or
# for the last. ``begins``: the sums begin with the bias, ``init`` bytes from where it does, and not with what is in c.
# Where ``biased`` is not 0, nothing is called: so many pixels of c are given the bias.
CALL = _record("a b c init tile told begins biased")

# One convolution of stride and dilation: y gathers from x. A row of outputs is made for each part of the sum by the
# calls of its ``LINE``: the number of the first, and how many they are. There are two ``CALL`` of each number, that for
# the wide blocks of output channels and that for the last, narrower one. Where ``pack`` is not 0 but the address of a
# ``PACK``, each task puts the weights of a part in order itself, ``panel`` bytes from where its own memory begins.
LINE = _record("first calls")
CORRELATE = _record(
    """
    x x_image x_row x_pixel x_group in_rows in_columns
    y y_image y_row y_pixel y_group out_rows
    w w_group bias bias_group
    row_stride before_rows before_columns reach_rows
    padded buffer_row
    groups rows blocks images all_images
    lines calls parts
    pack panel taps part_taps tap_steps
    wide wide_bytes wide_w last_bytes last_filled last
    channel_tasks channel_blocks
    scratch scratch_bytes
    """
)

# Pixels that nothing is added to, ``columns`` of each of ``rows`` rows of an image: they become zeros.
BLANK = _record("y y_image y_row y_pixel pixel_bytes columns rows all_rows tasks")

# Weights put in the order in which tiles read them; the ``w_`` fields are strides, which may be negative. Where pixels
# are made ``together``, the columns are those that all of them read, and each has its own ``width`` channels.
PACK = _record(
    """
    w w_group w_row w_column w_depth w_width
    packed group_bytes
    rows columns depth
    wide blocks wide_bytes wide_block last_bytes last_filled
    wide_copy last_copy last_lanes transpose lanes
    together stride taps width
    places share
    """
)

# The gradient at the weights, in ``pieces`` of the images' rows that are summed afterwards. The rows of a tile are
# neighbouring inputs under one tap, its steps are pixels. Several ``images`` are taken at a time where all rows of them
# are one strip.
WEIGHTS = _record(
    """
    x x_image x_row x_pixel x_group in_rows in_columns
    dy dy_row dy_group out_rows out_columns
    dw dw_row dw_group dw_run dw_piece
    row_stride before_rows before_columns reach_rows
    padded buffer_row buffer_pixel a_row a_image panel strip chunks chunk_x chunk_dy
    groups rows blocks images all_images pieces all_blocks
    told part_bytes run_told starts runs row_tasks
    wide wide_bytes last_bytes last_filled wide_tall wide_low last_tall last_low last_told
    tall tall_rows low
    channel_tasks channel_blocks
    scratch scratch_bytes
    """
)

# The gradient at an input of few channels. ``told`` has two ``TILE``, that of wide blocks of a pixel's run and
# that of the last, for every number of taps that lie inside dy. Where ``run_bytes`` is not 0, a pixel makes one run for
# each of the rows of dx that it reaches, so many bytes apart, and ``fold_added`` adds to a row what a later one gives.
OVERLAP = _record(
    """
    dy dy_image dy_row dy_pixel dy_rows
    dx dx_image dx_row size rows
    w steps taps dilation before
    blocks told part_bytes zeros
    wide wide_bytes wide_w last_bytes wide_tall wide_low last_tall last_low last_told
    tall tall_rows low
    fold fold_added run_bytes pixel margin
    scratch scratch_bytes
    """
)

# Products c = a b of a batch of matrices. ``told`` has two ``TILE``, that of the wide blocks of columns and that of the
# last, narrower one, for each of four kinds of parts of the sum: neither its first nor its last part, the last, the
# first, both.
#
# Where there are ``shares`` of the rows, workers take one after the other, by counting those that are ``taken``, and
# put b side by side once.
#
# A ``group`` of blocks of b is put side by side at a time; a worker's memory holds the panels of so many as there are
# ``slots``. While a block is multiplied, its first ``asking`` tiles ask for what is put side by side for the next
# group; what tells them so lies at ``asking_told`` of the worker's memory.
#
# Tiles of the first block of columns ask for rows of a; those of ``later`` blocks may do without, finding them in the
# caches.
#
# What is done with a block of b before tiles read it: nothing; its rows are copied side by side; or its columns are.
IN_PLACE, COPIED, TRANSPOSED = range(3)
PRODUCT = _record(
    """
    a a_row a_step a_starts packed_a packed_step packed_tile row_lanes copy_rows run gathered_row
    b b_step b_width b_starts packing
    c c_row c_item c_piece bias
    steps depth parts pieces
    row_tasks column_tasks column_blocks chunk panel_step slots group group_copy shares taken asking asking_told
    told last_part first_part
    wide wide_columns wide_bytes wide_tall wide_low wide_copy
    last_columns last_bytes last_tall last_low last_copy last_told
    later_wide_tall later_wide_low later_last_tall later_last_low
    sweep_tall sweep_low sweep_steps
    tall tall_rows low
    lanes vector_bytes transpose transpose_tail
    scratch scratch_bytes
    """
)

# Products of a batch of matrices with one vector each, or a few: ``y_row`` bytes from the products with one of them to
# those with the next.
DOTS = _record(
    """
    a a_row a_starts x x_row x_starts y y_row y_item
    steps columns lanes vector_bytes tiles tall tall_rows tall_dots low_dots tasks
    """
)

# Weights of Winograd's convolution, which are transformed by blocks of output channels; ``w_width`` is a float's size,
# or else ``w_depth`` is. ``wide_copy`` and ``last_copy`` copy them first, or are 0.
_WINOGRAD_WEIGHTS = """
    w w_row w_tap w_depth w_width
    weights weights_tail transpose transpose_tail wide_copy last_copy vector_bytes m
    wide wide_vectors wide_bytes last_vectors last_tail last_bytes
    depth part_depth
    u u_place
"""
# All of them at once: [3, 3, depth, width] to [place, (block of channels, depth, channel of the block)].
WINOGRAD_WEIGHTS = _record(_WINOGRAD_WEIGHTS + "parts scratch scratch_bytes")

# Winograd's tiles of m x m outputs in an image, which is x or, for the gradient at the weights, dy. A tile is of
# ``side`` x ``side`` pixels, the first one so many rows and columns ``before`` the image. Their transforms lie in
# ``parts`` of the channels, each of ``part_vectors`` vectors, but the last of ``last_vectors`` and ``last_tail`` lanes
# of one more. There are transforms for whole vectors and for a ``tail``, for tiles that are ``whole`` and at the
# ``edge`` of the image.
WINOGRAD_TILES = _record(
    """
    image row pixel rows columns
    before_rows before_columns tile_rows tile_columns m side
    parts part_vectors last_vectors last_tail
    part place_row place
    whole whole_tail edge edge_tail vector_bytes zeros
    """
)

# Winograd's convolution 3 x 3 of stride 1: a block of tiles at a time, for ``channel_blocks`` blocks of output
# channels. Where several tasks use the same block, its tiles are transformed before and lie at ``v``, the next block's
# ``v_block`` bytes behind; else that is 0. ``kernels`` are the addresses of products (``place.py``), of wide blocks and
# of the last one, each of ``tall_rows`` tiles and of one less; of the first part of the depth, and of those to add.
WINOGRAD = _record(
    _WINOGRAD_WEIGHTS
    + """
    x x_tiles
    y y_image y_row y_pixel out_rows out_columns
    bias clamp
    tiles blocks steps step
    v v_block v_part v_place v_tile sums_at sums_place sums_tile u_at patch_at
    output output_tail output_edge output_edge_tail
    kernels parts
    tall_rows channel_tasks channel_blocks
    scratch scratch_bytes
    """
)

# A row of tiles of x, whose channels are few: m + 2 rows of pixels are copied to where there are zeros around them, at
# ``copy_at`` of a worker's memory, and transformed by ``input_row`` (``transform.py``) by way of ``middle_at``.
_WINOGRAD_ROW = """
    x x_rows x_row before_rows before_bytes
    m pixel_bytes vector_bytes tile_rows copy_row copy_at middle_at input_row
"""

# The convolution of few input channels: a row of ``tiles``, whose transforms lie one behind the other, for a block of
# output channels after the other. The ``kernel`` (``fused.py``) makes outputs of them; its memory is at ``rest_at``.
WINOGRAD_FUSED = _record(
    _WINOGRAD_ROW
    + """
    tiles u u_block y y_image y_row y_pixel bias clamp
    blocks block_bytes kernel rest_at
    scratch scratch_bytes
    """
)

# Winograd's gradient at the weights, for one chunk of tiles: first the transforms of x and dy, ...
WINOGRAD_GRADIENT = _record("x x_tiles v v_tile dy dy_tiles d d_tile first last step")

# ... then a product for each place, added to the sums; the first begin with ``zeros``, which is 0 for the others, ...
_WINOGRAD_BLOCKS = "told zeros wide wide_bytes wide_kernel last_kernel last_told tile_rows "
WINOGRAD_PRODUCTS = _record(
    _WINOGRAD_BLOCKS + "v v_part v_place d d_part d_place sums sums_place sums_row depth parts part_depth part_tasks"
)

# ... or, where tiles are few, the products of a part of x's channels and a block of dy's, and at once the way
# back; ``told`` has two ``TILE``, as for the products.
WINOGRAD_BLOCK = _record(
    _WINOGRAD_BLOCKS
    + """
    v v_part v_place d d_part d_place sums_place sums_row
    depth parts part_depth wide_vectors last_vectors last_tail
    dw dw_tap dw_depth kernel tail_kernel vector_bytes
    scratch scratch_bytes
    """
)

# ... and once for all the way back from the places: [place, depth, width] to [9, depth, width].
WINOGRAD_RESULT = _record("sums sums_place sums_depth dw dw_tap dw_depth vectors tail kernel tail_kernel vector_bytes")

# Or all of it in one launch, where the sums fit into the cache: a piece of the tiles, ``block`` of them at a time, for
# one of ``blocks`` blocks of the channels, of which x has ``depth`` and dy ``width``. The ``kernels`` are those of
# ``place.py``: for the first block of tiles and for others, which add to the sums; for the wide blocks of columns and
# the last; for ``tall_rows`` channels and for one less.
WINOGRAD_PIECE = _record(
    """
    x x_tiles dy dy_tiles tiles pieces blocks width_blocks block
    v_place v_tile d_at d_place d_tile sums_at sums_place sums_row
    kernels column_blocks wide wide_bytes tall tall_rows low
    depth width width_vectors width_tail dw dw_piece dw_tap dw_depth
    weights weights_tail vector_bytes
    scratch scratch_bytes
    """
)

# Or, of few input channels and whole tiles, that of a piece of all ``rows`` of tiles, of ``columns`` each: ``together``
# tiles at a time, whose products the ``whole_kernel`` (``fused_gradient.py``) adds for each of ``blocks`` blocks of
# output channels; the ``last_kernel``, those of what is left of a row.
WINOGRAD_FUSED_GRADIENT = _record(
    _WINOGRAD_ROW
    + """
    dy dy_row dy_tile rows columns pieces together
    whole_kernel last_kernel room_at sums_at sums_block sums_place ahead_block
    blocks block_bytes depth dw dw_piece dw_tap dw_depth kernel vectors
    scratch scratch_bytes
    """
)

# A block of outputs of a sliding window: where in an image its inputs and outputs begin, and the kernels that make it,
# for whole vectors of channels and for the rest. An image is ``rows`` rows of ``columns`` blocks.
BLOCK = _record("x y kernel tail")

# A depthwise convolution with one output a channel.
_IMAGE = """
    x x_image x_row x_pixel y_image y_row y_pixel
    blocks rows columns vectors
"""
DEPTHWISE = _record(_IMAGE + "y w bias clamp taps lanes vector_bytes parts")
DEPTHWISE_WEIGHTS = _record(_IMAGE + "dy dw taps lanes vector_bytes dw_piece pieces all_rows")

# Pooling, and its gradient, for which x is the output's gradient and y the input's. A ``RUN`` is what a kernel makes in
# one call: for few channels ``count`` blocks below each other, else one, of so many whole vectors of channels. ``rows``
# are those of runs of all images, which are shared out.
RUN = _record("x y kernel count")
POOLING = _record("x x_image x_row x_pixel y y_image y_row y_pixel places back runs rows columns image_rows tasks")
