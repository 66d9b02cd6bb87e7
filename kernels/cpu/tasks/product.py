"""Matrix products as register tiles.

    for each part of the sum:
        for each chunk of rows:                   of a few tiles, which stay in the first-level cache
            put rows that lie in runs side by side    as of an image that is read with a stride
            for each block of columns:            as wide as a tile
                put b[part, block] side by side   once, to be read from the second-level cache
                for each tile of the chunk:
                    c[tile, block] += a[tile, part] b[part, block]

The tile reads ``a`` element by element, which may therefore lie in any order, and ``b`` by whole vectors (Goto and van
de Geijn 2008, Anatomy of High-Performance Matrix Multiplication). What need not be put side by side is read in place;
which operands that are is decided in ``deepcore/backend/numpy/product.py``.
"""

import numpy as np

from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.native import (
    call,
    copy,
    fetch_add,
    helper,
    load_float,
    load_int,
    record,
    store_float,
    store_int,
)
from deepcore.kernels.cpu.record import DOTS, IN_PLACE, PRODUCT, TILE, TRANSPOSED, offset

product_at = record(PRODUCT)
dots_at = record(DOTS)

TAKEN = offset(PRODUCT, "taken")
NEXT_A, NEXT_STEP, TILE_BYTES = offset(TILE, "next_a"), offset(TILE, "next_step"), TILE.itemsize
RUN = 8  # steps of which rows are put side by side at a time
ZERO = np.float32(0)


@helper
def transpose(t, b, columns, panel, size, steps):
    """panel[k, j] = b[j, k], the rows j being ``t.b_width`` apart: squares of vectors, the last of fewer steps."""
    squares = steps // t.lanes
    left = steps - squares * t.lanes
    for first in range(0, columns, t.lanes):
        source = b + first * t.b_width
        target = panel + first * ITEM
        there = min(t.lanes, columns - first)
        if squares:
            call(t.transpose, (source, t.b_width, there, target, size, squares))
        if left:
            source += squares * t.vector_bytes
            target += squares * t.lanes * size
            call(t.transpose_tail, (source, t.b_width, there, target, size, left))


@helper
def pack_block(t, b, wide, panel, steps):
    """The columns of a block side by side, whichever way they lie in b."""
    columns = t.wide_columns if wide else t.last_columns
    size = t.wide_bytes if wide else t.last_bytes
    if t.packing == TRANSPOSED:
        transpose(t, b, columns, panel, size, steps)
    else:
        lanes = columns - (size // t.vector_bytes - 1) * t.lanes
        call(t.wide_copy if wide else t.last_copy, (b, t.b_step, panel, size, steps, lanes))


@helper
def pack_group(t, b, block, last_block, panel, steps):
    """A group of blocks, as many as there are: b is where the first of them begins."""
    if t.group > 1 and block + t.group <= min(t.wide, last_block):
        call(t.group_copy, (b, t.b_step, panel, t.wide_bytes, steps, t.panel_step))
    else:
        for i in range(min(t.group, last_block - block)):
            pack_block(t, b + i * t.wide_columns * t.b_width, block + i < t.wide, panel + i * t.panel_step, steps)


@helper
def pack_rows(t, a, first, last, packed, steps):
    """The rows of each tile side by side: packed[tile, k, i] = a[k, i], where the rows i are neighbours.

    A few steps at a time for all tiles, so that what they read of a are runs.
    """
    for k in range(0, steps, RUN):
        source = a + k * t.a_step
        target = packed + k * t.packed_step
        for tile in range(first, last):
            rows = t.tall_rows if tile < t.tall else t.tall_rows - 1
            call(t.copy_rows, (source, t.a_step, target, t.packed_step, min(RUN, steps - k), rows - t.row_lanes))
            source += rows * ITEM
            target += t.packed_tile


@helper
def gather_rows(t, first, stop, done, gathered, steps):
    """Rows of a side by side, of which each ``t.run`` are equally far apart."""
    for row in range(first, stop):
        run = row // t.run
        source = t.a + load_int(t.a_starts + 8 * run) + (row - run * t.run) * t.a_row + done * t.a_step
        copy(gathered + (row - first) * t.gathered_row, source, steps * ITEM)


@helper
def ask(told, tile_told, tile_a, wanted, step):
    """Has ``told`` say what ``tile_told`` does, but to ask for what lies at ``wanted`` and every ``step`` behind."""
    copy(told, tile_told, TILE_BYTES)
    store_int(told + NEXT_A, wanted - tile_a)
    store_int(told + NEXT_STEP, step)


@helper
def sweep(t, told, first_tile, last_tile, a, a_row, b, init, init_row, c, blocks):
    """Wide blocks of rows of c, for a few steps."""
    for tile in range(first_tile, last_tile):
        tall = tile < t.tall
        rows = t.tall_rows if tall else t.tall_rows - 1
        call(t.sweep_tall if tall else t.sweep_low, (told, a, b, init, c, blocks))
        a += rows * a_row
        c += rows * t.c_row
        init += rows * init_row


@helper
def multiply(t, share, shares, item_piece, first_block, last_block, worker, packs):
    """One of the ``shares`` of the rows of c, for one piece of the sum, of one product of the batch.

    ``packs``: the panels of b are not there yet.
    """
    item = item_piece // t.pieces
    piece = item_piece - item * t.pieces
    tiles = t.tall + t.low
    first_tile = tiles * share // shares
    last_tile = tiles * (share + 1) // shares
    first_row = first_tile * t.tall_rows - max(0, first_tile - t.tall)
    a = t.a + load_int(t.a_starts + 8 * item) + first_row * t.a_row
    b = t.b + load_int(t.b_starts + 8 * item)
    c = t.c + item * t.c_item + piece * t.c_piece + first_row * t.c_row
    panels = t.scratch + worker * t.scratch_bytes
    packed_a = panels + t.packed_a
    block_step = t.wide_columns * t.b_width

    begin, end = t.parts * piece // t.pieces, t.parts * (piece + 1) // t.pieces
    for part in range(begin, end):
        done = part * t.depth
        steps = min(t.depth, t.steps - done)
        part_told = t.told + (t.first_part if part == begin else 0) + (t.last_part if part == t.parts - 1 else 0)
        b_part = b + done * t.b_step
        from_a = a + done * t.a_step
        if t.packed_tile:
            pack_rows(t, from_a, first_tile, last_tile, packed_a, steps)
            from_a = packed_a
        for chunk in range(first_tile, last_tile, t.chunk):
            last_of_chunk = min(chunk + t.chunk, last_tile)
            chunk_row = chunk * t.tall_rows - max(0, chunk - t.tall) - first_row
            chunk_a = from_a + ((chunk - first_tile) * t.packed_tile if t.packed_tile else chunk_row * t.a_row)
            chunk_c = c + chunk_row * t.c_row
            tile_row = t.a_row
            if t.run:
                stop = last_of_chunk * t.tall_rows - max(0, last_of_chunk - t.tall)
                gather_rows(t, first_row + chunk_row, stop, done, packed_a, steps)
                chunk_a, tile_row = packed_a, t.gathered_row
            swept = first_block
            if t.sweep_tall and steps == t.sweep_steps and first_block < t.wide:
                swept = min(last_block, t.wide)
                from_b = b_part + first_block * block_step
                tile_c = chunk_c + first_block * t.wide_bytes
                init, init_row = tile_c, t.c_row
                if part == begin:
                    init, init_row = t.bias + first_block * t.wide_bytes, 0
                blocks = swept - first_block
                sweep(t, part_told, chunk, last_of_chunk, chunk_a, tile_row, from_b, init, init_row, tile_c, blocks)
            for block in range(swept, last_block):
                wide = block < t.wide
                tile_told = part_told + (0 if wide else t.last_told)
                tall_tile = t.wide_tall if wide else t.last_tall
                low_tile = t.wide_low if wide else t.last_low
                later_tall, later_low = tall_tile, low_tile
                if block > first_block:
                    later_tall = t.later_wide_tall if wide else t.later_last_tall
                    later_low = t.later_wide_low if wide else t.later_last_low
                from_b = b_part + block * block_step
                asking, wanted = 0, 0
                if t.packing != IN_PLACE:
                    number = block - first_block
                    panel = panels + number % t.slots * t.panel_step
                    if packs and chunk == first_tile:
                        if number % t.group == 0:
                            pack_group(t, from_b, block, last_block, panel, steps)
                        if block + t.group < last_block:
                            asking, wanted = t.asking, from_b + t.group * block_step
                        elif part + 1 < end:
                            asking = t.asking
                            wanted = b_part + steps * t.b_step + (first_block + number % t.group) * block_step
                    from_b = panel
                tile_a = chunk_a
                tile_c = chunk_c + block * t.wide_bytes
                bias = t.bias + block * t.wide_bytes
                for tile in range(chunk, last_of_chunk):
                    tall = tile < t.tall
                    rows = t.tall_rows if tall else t.tall_rows - 1
                    init = bias if part == begin else tile_c
                    this_told = tile_told
                    this_tile = later_tall if tall else later_low
                    if tile - chunk < asking:
                        this_tile = tall_tile if tall else low_tile
                        this_told = panels + t.asking_told
                        ask(this_told, tile_told, tile_a, wanted + (tile - chunk) * t.b_step, t.b_step)
                    call(this_tile, (this_told, tile_a, from_b, init, tile_c))
                    tile_a += t.packed_tile if t.packed_tile else rows * tile_row
                    tile_c += rows * t.c_row


def product(told, index, worker):
    """Some rows and some blocks of columns of c."""
    t = product_at(told)
    where = index // t.column_tasks
    first_block = (index - where * t.column_tasks) * t.column_blocks
    last_block = min(first_block + t.column_blocks, t.wide + (1 if t.last_bytes else 0))
    item_piece = where // t.row_tasks
    shares = t.shares if t.shares else t.row_tasks
    share = fetch_add(told + TAKEN, 1) if t.shares else where - item_piece * t.row_tasks
    packs = True
    while share < shares:
        multiply(t, share, shares, item_piece, first_block, last_block, worker, packs)
        share = fetch_add(told + TAKEN, 1) if t.shares else shares
        packs = False


def dots(told, index, worker):
    """Some rows of one matrix of the batch, each times the same vectors."""
    t = dots_at(told)
    item = index // t.tasks
    task = index - item * t.tasks
    vectors = t.steps // t.lanes
    done = vectors * t.vector_bytes
    first_tile = t.tiles * task // t.tasks
    row = first_tile * t.tall_rows - max(0, first_tile - t.tall)
    a = t.a + load_int(t.a_starts + 8 * item) + row * t.a_row
    x = t.x + load_int(t.x_starts + 8 * item)
    y = t.y + item * t.y_item + row * ITEM
    for tile in range(first_tile, t.tiles * (task + 1) // t.tasks):
        tall = tile < t.tall
        rows = t.tall_rows if tall else t.tall_rows - 1
        if vectors:
            call(t.tall_dots if tall else t.low_dots, (a, t.a_row, x, t.x_row, vectors, y, t.y_row))
        for j in range(t.columns):
            for i in range(rows):
                at = y + j * t.y_row + i * ITEM
                total = load_float(at) if vectors else ZERO
                for k in range(done, t.steps * ITEM, ITEM):
                    total += load_float(a + i * t.a_row + k) * load_float(x + j * t.x_row + k)
                store_float(at, total)
        a += rows * t.a_row
        y += rows * ITEM
