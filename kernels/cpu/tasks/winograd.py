"""Winograd's convolution: transform tiles, multiply place by place, transform back, while all of it is in the cache.

The places of a tile are the (m + 2)^2 positions of its transform. For each there is one matrix product, of the tiles
with the weights over the input channels.
"""

from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.native import call, helper, load_int, record
from deepcore.kernels.cpu.record import (
    WINOGRAD,
    WINOGRAD_FUSED,
    WINOGRAD_TILES,
    WINOGRAD_WEIGHTS,
)
from deepcore.kernels.cpu.tasks.convolution import fill

SIDE = 3  # taps of a row of the window
TAPS = SIDE * SIDE
AHEAD = 8  # input channels whose weights are asked for before they are read: they are pages apart

tiles_at = record(WINOGRAD_TILES)
weights_at = record(WINOGRAD_WEIGHTS)
winograd_at = record(WINOGRAD)
fused_at = record(WINOGRAD_FUSED)


@helper
def transform(kernel, tail_kernel, source, target, channels, ahead):
    """Channels of a tile: whole vectors, then the rest of the last one.

    ``source`` and ``target`` are an address and the bytes to the next row and to the next pixel, or place, of a row;
    ``channels`` are whole vectors, lanes of one more, and the bytes of one.
    """
    at, row, pixel = source
    to, to_row, to_pixel = target
    vectors, tail, vector_bytes = channels
    if vectors:
        call(kernel, (at, row, pixel, to, to_row, to_pixel, vectors, ahead))
    if tail:
        done = vectors * vector_bytes
        call(tail_kernel, (at + done, row, pixel, to + done, to_row, to_pixel, tail, ahead))


@helper
def transform_edge(kernel, tail_kernel, source, target, channels, ahead, exist, zeros):
    """The same of a tile that reaches beyond the image, of which the pixels ``exist`` are there."""
    at, row, pixel = source
    to, to_row, to_pixel = target
    vectors, tail, vector_bytes = channels
    if vectors:
        call(kernel, (at, row, pixel, to, to_row, to_pixel, vectors, ahead, exist, zeros))
    if tail:
        done = vectors * vector_bytes
        call(tail_kernel, (at + done, row, pixel, to + done, to_row, to_pixel, tail, ahead, exist, zeros))


@helper
def existing(rows, columns, top, left, side):
    """A bit for each of side x side pixels, row by row: whether an image of that size has it."""
    first = max(0, -left)
    last = max(first, min(side, columns - left))
    bits = 0
    for row in range(max(0, -top), min(side, rows - top)):
        bits |= ((1 << last) - (1 << first)) << (row * side)
    return bits


@helper
def place_of(tiles, tile):
    """(image, first row, first column) of the outputs of a tile."""
    image_tiles = tiles.tile_rows * tiles.tile_columns
    image = tile // image_tiles
    row = (tile - image * image_tiles) // tiles.tile_columns
    return image, row * tiles.m, (tile - image * image_tiles - row * tiles.tile_columns) * tiles.m


@helper
def transform_tile(told, images, tile, target):
    """All channels of one tile, part by part; ``told`` is the address of what is told of the tiles of ``images``."""
    t = tiles_at(told)
    image, row, column = place_of(t, tile)
    row -= t.before_rows
    column -= t.before_columns
    source = images + image * t.image + row * t.row + column * t.pixel
    exist = existing(t.rows, t.columns, row, column, t.side)
    every = (1 << (t.side * t.side)) - 1
    ahead = 2 * t.m * t.pixel
    for part in range(t.parts):
        last = part == t.parts - 1
        read = source, t.row, t.pixel
        written = target, t.place_row, t.place
        channels = t.last_vectors if last else t.part_vectors, t.last_tail if last else 0, t.vector_bytes
        if exist == every:
            transform(t.whole, t.whole_tail, read, written, channels, ahead)
        else:
            transform_edge(t.edge, t.edge_tail, read, written, channels, ahead, exist, t.zeros)
        source += t.part_vectors * t.vector_bytes
        target += t.part


@helper
def finish(t, sums, target, vectors, tail, bias):
    """The outputs of a tile, all of which exist, for one block of channels."""
    place = t.sums_place
    row = (t.m + 2) * place
    if vectors:
        call(t.output, (sums, row, place, target, t.y_row, t.y_pixel, vectors, bias, t.clamp))
    if tail:
        done = vectors * t.vector_bytes
        call(
            t.output_tail,
            (sums + done, row, place, target + done, t.y_row, t.y_pixel, tail, bias + done, t.clamp),
        )


@helper
def finish_edge(t, sums, target, vectors, tail, bias, exist, nowhere):
    """The same where only some of them ``exist``; the others are written to ``nowhere``."""
    place = t.sums_place
    row = (t.m + 2) * place
    if vectors:
        call(
            t.output_edge,
            (sums, row, place, target, t.y_row, t.y_pixel, vectors, bias, t.clamp, exist, nowhere),
        )
    if tail:
        done = vectors * t.vector_bytes
        call(
            t.output_edge_tail,
            (sums + done, row, place, target + done, t.y_row, t.y_pixel, tail, bias + done, t.clamp, exist, nowhere),
        )


@helper
def transpose_taps(t, source, count, size, channels, taps):
    """Copies ``count`` input channels of a block, of ``size`` bytes, as [tap, input channel, output channel].

    It is done row by row of w, whose rows are pages apart; ``channels`` are whole vectors and lanes of one more.
    """
    vectors, tail = channels
    lanes = t.vector_bytes // ITEM
    whole = count // lanes * lanes
    for tap in range(TAPS):
        row = tap // SIDE
        from_w = source + row * t.w_row + (tap - SIDE * row) * t.w_tap
        to = taps + tap * t.part_depth * size
        for vector in range(vectors + (1 if tail else 0)):
            width = lanes if vector < vectors else tail
            if whole:
                call(t.transpose, (from_w, t.w_width, width, to, size, whole // lanes))
            if count > whole:
                rest = from_w + ITEM * whole, t.w_width, width, to + whole * size, size, count - whole
                call(t.transpose_tail, rest)
            from_w += lanes * t.w_width
            to += t.vector_bytes


@helper
def copy_taps(t, source, count, size, kernel, tail, taps):
    """The same where neighbouring floats are output channels: one tap after the other, by a copy of panels."""
    for tap in range(TAPS):
        row = tap // SIDE
        from_w = source + row * t.w_row + (tap - SIDE * row) * t.w_tap
        call(kernel, (from_w, t.w_depth, taps + tap * t.part_depth * size, size, count, tail))


@helper
def weights_of_block(t, block, begin, end, target, target_place, taps):
    """The weights of one block of output channels from the input channels ``begin`` to ``end``, at every place.

    Where neighbouring floats are input channels, they are transposed first, into ``taps``, and where it is asked for
    they are copied there.
    """
    wide = block < t.wide
    size = t.wide_bytes if wide else t.last_bytes
    vectors = t.wide_vectors if wide else t.last_vectors
    tail = 0 if wide else t.last_tail
    row, tap, depth, ahead = t.w_row, t.w_tap, t.w_depth, AHEAD * t.w_depth
    source = t.w + block * (t.wide_bytes // ITEM) * t.w_width + begin * t.w_depth
    kernel = t.wide_copy if wide else t.last_copy
    if t.w_width != ITEM or kernel:
        if kernel:
            copy_taps(t, source, end - begin, size, kernel, tail, taps)
        else:
            transpose_taps(t, source, end - begin, size, (vectors, tail), taps)
        source, depth, ahead = taps, size, size
        tap = t.part_depth * size
        row = SIDE * tap
        vectors, tail = size // t.vector_bytes, 0
    for _ in range(begin, end):
        read = source, row, tap
        written = target, (t.m + 2) * target_place, target_place
        transform(t.weights, t.weights_tail, read, written, (vectors, tail, t.vector_bytes), ahead)
        source += depth
        target += size


def transform_weights(told, index, worker):
    """One block of output channels and one part of the depth."""
    t = weights_at(told)
    block = index // t.parts
    begin = (index - block * t.parts) * t.part_depth
    size = t.wide_bytes if block < t.wide else t.last_bytes
    target = t.u + block * t.depth * t.wide_bytes + begin * size
    taps = t.scratch + worker * t.scratch_bytes
    weights_of_block(t, block, begin, min(begin + t.part_depth, t.depth), target, t.u_place, taps)


@helper
def product_of(kernels, adds, last, low):
    """Of a table of products, the one that adds or not, of a wide block or the last, of a high or a low tile."""
    return load_int(kernels + 8 * (4 * adds + 2 * last + low))


@helper
def multiply_tiles(t, block, part, u, v, sums, tiles):
    """The products of one part of the depth, at every place, for one block of output channels; others are added."""
    adds = 1 if part else 0
    last = 0 if block < t.wide else 1
    steps = min(t.part_depth, t.depth - part * t.part_depth)
    calls = (tiles + t.tall_rows - 1) // t.tall_rows
    low = calls * t.tall_rows - tiles
    done = (calls - low) * t.tall_rows
    for place in range((t.m + 2) * (t.m + 2)):
        a = v + part * t.v_part + place * t.v_place
        b = u + place * t.u_place
        c = sums + place * t.sums_place
        if calls > low:
            call(product_of(t.kernels, adds, last, 0), (a, b, c, steps, calls - low))
        if low:
            rest = a + done * t.v_tile, b, c + done * t.sums_tile, steps, low
            call(product_of(t.kernels, adds, last, 1), rest)


def transform_inputs(told, index, worker):
    """``step`` tiles of a block that several tasks will use."""
    t = winograd_at(told)
    number = index // t.steps
    first = t.tiles * number // t.blocks
    last = t.tiles * (number + 1) // t.blocks
    begin = first + (index - number * t.steps) * t.step
    for tile in range(begin, min(begin + t.step, last)):
        transform_tile(t.x_tiles, t.x, tile, t.v + number * t.v_block + (tile - first) * t.v_tile)


def convolve(told, index, worker):
    """A block of tiles, all the way from x to y, for some of the output channels."""
    t = winograd_at(told)
    number = index // t.channel_tasks
    first_block = (index - number * t.channel_tasks) * t.channel_blocks
    last_block = min(first_block + t.channel_blocks, t.wide + (1 if t.last_bytes else 0))
    first = t.tiles * number // t.blocks
    last = t.tiles * (number + 1) // t.blocks
    room = t.scratch + worker * t.scratch_bytes
    sums = room + t.sums_at
    patch = room + t.patch_at
    v = room
    if t.v_block:
        v = t.v + number * t.v_block
    else:
        for tile in range(first, last):
            transform_tile(t.x_tiles, t.x, tile, v + (tile - first) * t.v_tile)
    for block in range(first_block, last_block):
        wide = block < t.wide
        for part in range(t.parts):
            u = t.u + block * t.depth * t.wide_bytes
            if t.u_at:
                u = room + t.u_at
                begin = part * t.part_depth
                weights_of_block(t, block, begin, min(begin + t.part_depth, t.depth), u, t.u_place, patch)
            multiply_tiles(t, block, part, u, v, sums, last - first)
        vectors = t.wide_vectors if wide else t.last_vectors
        tail = 0 if wide else t.last_tail
        begin = block * t.wide_bytes
        for tile in range(first, last):
            image, row, column = place_of(tiles_at(t.x_tiles), tile)
            target = t.y + image * t.y_image + row * t.y_row + column * t.y_pixel + begin
            source = sums + (tile - first) * t.sums_tile
            bias = t.bias + begin
            if row + t.m <= t.out_rows and column + t.m <= t.out_columns:
                finish(t, source, target, vectors, tail, bias)
            else:
                exist = existing(t.out_rows, t.out_columns, row, column, t.m)
                finish_edge(t, source, target, vectors, tail, bias, exist, patch)


@helper
def copy_row(t, row, room):
    """Copies what a row of tiles of all images reads of x to a worker's memory; its image, and its number in it."""
    image = row // t.tile_rows
    row -= image * t.tile_rows
    x = t.x + image * t.x_rows * t.x_row
    top = row * t.m - t.before_rows
    fill(x, t.x_row, t.x_rows, t.x_row, top, t.before_bytes, room + t.copy_at, t.copy_row, t.m + 2)
    return image, row


@helper
def transform_copied(t, first, tiles, room, v):
    """Writes the transforms of so many neighbouring tiles of that row to v, one behind the other."""
    source = room + t.copy_at + first * t.m * t.pixel_bytes
    vectors = ((tiles * t.m + 2) * t.pixel_bytes + t.vector_bytes - 1) // t.vector_bytes
    call(t.input_row, (source, room + t.middle_at, t.copy_row, vectors, v, tiles))


def convolve_fused(told, index, worker):
    """A row of tiles of few input channels, all the way from x to y."""
    t = fused_at(told)
    v = t.scratch + worker * t.scratch_bytes
    image, row = copy_row(t, index, v)
    transform_copied(t, 0, t.tiles, v, v)
    y = t.y + image * t.y_image + row * t.m * t.y_row
    for block in range(t.blocks):
        begin = block * t.block_bytes
        outputs = y + begin, t.y_row, t.y_pixel, t.tiles
        call(t.kernel, (v, t.u + block * t.u_block, t.bias + begin, t.clamp, v + t.rest_at, *outputs))
