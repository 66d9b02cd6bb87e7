"""Winograd's convolution: transform tiles, multiply place by place, transform back, while all of it is in the cache.

The places of a tile are the (m + 2)^2 positions of its transform. For each there is one matrix product, of the tiles
with the weights over the input channels.
"""

from deepcore.kernels.cpu.native import call, helper, load_int, record
from deepcore.kernels.cpu.record import (
    WINOGRAD,
    WINOGRAD_BLOCK,
    WINOGRAD_GRADIENT,
    WINOGRAD_PRODUCTS,
    WINOGRAD_RESULT,
    WINOGRAD_WEIGHTS,
)
from deepcore.kernels.cpu.tasks.convolution import fill

AHEAD = 8  # input channels whose weights are asked for before they are read: they are pages apart

weights_at = record(WINOGRAD_WEIGHTS)
winograd_at = record(WINOGRAD)
gradient_at = record(WINOGRAD_GRADIENT)
block_at = record(WINOGRAD_BLOCK)
products_at = record(WINOGRAD_PRODUCTS)
result_at = record(WINOGRAD_RESULT)


@helper
def transform(
    kernel,
    tail_kernel,
    source,
    source_row,
    source_pixel,
    target,
    target_row,
    target_place,
    vectors,
    tail,
    vector_bytes,
    ahead,
):
    """Channels of a tile: whole vectors, then the rest of the last one."""
    if vectors:
        call(kernel, (source, source_row, source_pixel, target, target_row, target_place, vectors, ahead))
    if tail:
        source += vectors * vector_bytes
        target += vectors * vector_bytes
        call(tail_kernel, (source, source_row, source_pixel, target, target_row, target_place, tail, ahead))


@helper
def transform_edge(
    kernel,
    tail_kernel,
    source,
    source_row,
    source_pixel,
    target,
    target_row,
    target_place,
    vectors,
    tail,
    vector_bytes,
    ahead,
    exist,
    zeros,
):
    """The same of a tile that reaches beyond the image, of which the pixels ``exist`` are there."""
    if vectors:
        whole = (source, source_row, source_pixel, target, target_row, target_place, vectors, ahead, exist, zeros)
        call(kernel, whole)
    if tail:
        source += vectors * vector_bytes
        target += vectors * vector_bytes
        rest = (source, source_row, source_pixel, target, target_row, target_place, tail, ahead, exist, zeros)
        call(tail_kernel, rest)


@helper
def transform_existing(
    kernel,
    tail_kernel,
    edge_kernel,
    edge_tail_kernel,
    source,
    source_row,
    source_pixel,
    target,
    target_row,
    target_place,
    vectors,
    tail,
    vector_bytes,
    ahead,
    exist,
    every,
    zeros,
):
    """The one or the other: whether the pixels that ``exist`` are ``every`` pixel of the tile."""
    if exist == every:
        transform(
            kernel,
            tail_kernel,
            source,
            source_row,
            source_pixel,
            target,
            target_row,
            target_place,
            vectors,
            tail,
            vector_bytes,
            ahead,
        )
    else:
        transform_edge(
            edge_kernel,
            edge_tail_kernel,
            source,
            source_row,
            source_pixel,
            target,
            target_row,
            target_place,
            vectors,
            tail,
            vector_bytes,
            ahead,
            exist,
            zeros,
        )


@helper
def finish(t, sums, target, vectors, tail, bias):
    """The outputs of a tile, all of which exist, for one block of channels."""
    place = t.sums_place
    side = (t.m + 2) * place
    if vectors:
        call(t.output, (sums, side, place, target, t.y_row, t.y_pixel, vectors, bias, t.clamp))
    if tail:
        done = vectors * t.vector_bytes
        rest = (sums + done, side, place, target + done, t.y_row, t.y_pixel, tail, bias + done, t.clamp)
        call(t.output_tail, rest)


@helper
def finish_edge(t, sums, target, vectors, tail, bias, exist, nowhere):
    """The same where only some of them ``exist``; the others are written to ``nowhere``."""
    place = t.sums_place
    side = (t.m + 2) * place
    if vectors:
        whole = (sums, side, place, target, t.y_row, t.y_pixel, vectors, bias, t.clamp, exist, nowhere)
        call(t.output_edge, whole)
    if tail:
        sums += vectors * t.vector_bytes
        target += vectors * t.vector_bytes
        bias += vectors * t.vector_bytes
        rest = (sums, side, place, target, t.y_row, t.y_pixel, tail, bias, t.clamp, exist, nowhere)
        call(t.output_edge_tail, rest)


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
def place_of(t, tile):
    """(image, first row, first column) of the outputs of a tile."""
    image_tiles = t.tile_rows * t.tile_columns
    image = tile // image_tiles
    row = (tile - image * image_tiles) // t.tile_columns
    return image, row * t.m, (tile - image * image_tiles - row * t.tile_columns) * t.m


@helper
def read_input(t, tile, patch):
    """(address, bytes of a row) of what a tile reads of x, by way of ``patch`` where it reaches beyond."""
    image, row, column = place_of(t, tile)
    side = t.m + 2
    top = row - t.before_rows
    left = column - t.before_columns
    source = t.x + image * t.x_image
    if top >= 0 and left >= 0 and top + side <= t.in_rows and left + side <= t.in_columns:
        return source + top * t.x_row + left * t.x_pixel, t.x_row
    row_bytes = side * t.x_pixel
    fill(source, t.x_row, t.in_rows, t.in_columns * t.x_pixel, top, -left * t.x_pixel, patch, row_bytes, side)
    return patch, row_bytes


@helper
def weights_of_block(t, block, begin, end, target, target_place, taps):
    """The weights of one block of output channels from the input channels ``begin`` to ``end``, at every place.

    Where neighbouring floats are input channels, they are transposed first, into ``taps``: row by row of w, whose rows
    are pages apart.
    """
    wide = block < t.wide
    size = t.wide_bytes if wide else t.last_bytes
    vectors = t.wide_vectors if wide else t.last_vectors
    tail = 0 if wide else t.last_tail
    lanes = t.vector_bytes // 4
    target_row = (t.m + 2) * target_place
    first_channel = t.w + block * (t.wide_bytes // 4) * t.w_width
    if t.w_width == 4:
        for depth in range(begin, end):
            source = first_channel + depth * t.w_depth
            to = target + (depth - begin) * size
            transform(
                t.weights,
                t.weights_tail,
                source,
                t.w_row,
                t.w_tap,
                to,
                target_row,
                target_place,
                vectors,
                tail,
                t.vector_bytes,
                AHEAD * t.w_depth,
            )
        return
    count = end - begin
    whole = count // lanes
    rest = count - whole * lanes
    source = first_channel + begin * t.w_depth
    for tap in range(9):
        row = tap // 3
        from_w = source + row * t.w_row + (tap - 3 * row) * t.w_tap
        to = taps + tap * t.part_depth * size
        for vector in range(vectors + (1 if tail else 0)):
            channels = lanes if vector < vectors else tail
            if whole:
                call(t.transpose, (from_w, t.w_width, channels, to, size, whole))
            if rest:
                done = whole * lanes
                call(t.transpose_tail, (from_w + 4 * done, t.w_width, channels, to + done * size, size, rest))
            from_w += lanes * t.w_width
            to += t.vector_bytes
    for depth in range(count):
        call(
            t.weights,
            (
                taps + depth * size,
                3 * t.part_depth * size,
                t.part_depth * size,
                target + depth * size,
                target_row,
                target_place,
                size // t.vector_bytes,
                size,
            ),
        )


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
def multiply_tiles(t, block, part, u, v, sums, tiles):
    """The products of one part of the depth, at every place, for one block of output channels; others are added."""
    kernels = t.kernels + 32 * (1 if part else 0) + (0 if block < t.wide else 16)
    steps = min(t.part_depth, t.depth - part * t.part_depth)
    calls = (tiles + t.tall_rows - 1) // t.tall_rows
    low = calls * t.tall_rows - tiles
    done = (calls - low) * t.tall_rows
    for place in range((t.m + 2) * (t.m + 2)):
        a = v + part * t.v_part + place * t.v_place
        b = u + place * t.u_place
        c = sums + place * t.sums_place
        if calls > low:
            call(load_int(kernels), (a, b, c, steps, calls - low))
        if low:
            call(load_int(kernels + 8), (a + done * t.v_tile, b, c + done * t.sums_tile, steps, low))


@helper
def transform_block(t, first, begin, end, v):
    """The tiles ``begin`` to ``end`` of a block whose first one is ``first``."""
    side = t.m + 2
    target_row = side * t.v_place
    every = (1 << (side * side)) - 1
    ahead = 2 * t.m * t.x_pixel
    for tile in range(begin, end):
        image, row, column = place_of(t, tile)
        top = row - t.before_rows
        left = column - t.before_columns
        exist = existing(t.in_rows, t.in_columns, top, left, side)
        source = t.x + image * t.x_image + top * t.x_row + left * t.x_pixel
        for part in range(t.parts):
            target = v + part * t.v_part + (tile - first) * t.v_tile
            vectors = t.part_vectors if part < t.parts - 1 else t.depth_vectors
            tail = 0 if part < t.parts - 1 else t.depth_tail
            transform_existing(
                t.input,
                t.input_tail,
                t.input_edge,
                t.input_edge_tail,
                source,
                t.x_row,
                t.x_pixel,
                target,
                target_row,
                t.v_place,
                vectors,
                tail,
                t.vector_bytes,
                ahead,
                exist,
                every,
                t.zeros,
            )
            source += 4 * t.part_depth


def transform_inputs(told, index, worker):
    """``step`` tiles of a block that several tasks will use."""
    t = winograd_at(told)
    number = index // t.steps
    first = t.tiles * number // t.blocks
    last = t.tiles * (number + 1) // t.blocks
    begin = first + (index - number * t.steps) * t.step
    transform_block(t, first, begin, min(begin + t.step, last), t.v + number * t.v_block)


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
        transform_block(t, first, first, last, v)
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
            image, row, column = place_of(t, tile)
            target = t.y + image * t.y_image + row * t.y_row + column * t.y_pixel + begin
            source = sums + (tile - first) * t.sums_tile
            bias = t.bias + begin
            if row + t.m <= t.out_rows and column + t.m <= t.out_columns:
                finish(t, source, target, vectors, tail, bias)
            else:
                exist = existing(t.out_rows, t.out_columns, row, column, t.m)
                finish_edge(t, source, target, vectors, tail, bias, exist, patch)


def transform_tiles(told, index, worker):
    """``step`` tiles of x and of dy for the gradient at the weights."""
    t = gradient_at(told)
    side = t.m + 2
    patch = t.scratch + worker * t.scratch_bytes
    first = t.first + index * t.step
    for tile in range(first, min(first + t.step, t.last)):
        source, source_row = read_input(t, tile, patch)
        for part in range(t.depth_parts):
            transform(
                t.input,
                t.input_tail,
                source,
                source_row,
                t.x_pixel,
                t.v + part * t.v_part + (tile - t.first) * t.v_tile,
                side * t.v_place,
                t.v_place,
                t.part_vectors if part < t.depth_parts - 1 else t.depth_vectors,
                0 if part < t.depth_parts - 1 else t.depth_tail,
                t.vector_bytes,
                2 * t.m * t.x_pixel,
            )
            source += t.part_vectors * t.vector_bytes
        image, row, column = place_of(t, tile)
        source = t.dy + image * t.dy_image
        source_row = t.dy_row
        if row + t.m <= t.out_rows and column + t.m <= t.out_columns:
            source += row * t.dy_row + column * t.dy_pixel
        else:
            source_row = t.m * t.dy_pixel
            fill(
                source,
                t.dy_row,
                t.out_rows,
                t.out_columns * t.dy_pixel,
                row,
                -column * t.dy_pixel,
                patch,
                source_row,
                t.m,
            )
            source = patch
        for part in range(t.width_parts):
            transform(
                t.output,
                t.output_tail,
                source,
                source_row,
                t.dy_pixel,
                t.d + part * t.d_part + (tile - t.first) * t.d_tile,
                side * t.d_place,
                t.d_place,
                t.block_vectors if part < t.width_parts - 1 else t.width_vectors,
                0 if part < t.width_parts - 1 else t.width_tail,
                t.vector_bytes,
                2 * t.m * t.dy_pixel,
            )
            source += t.block_vectors * t.vector_bytes


def gradient_of_block(told, index, worker):
    """The gradient at the weights of a part of the input channels and a block of the output channels."""
    t = block_at(told)
    block = index // t.parts
    part = index - block * t.parts
    wide = block < t.wide
    tile_told = t.told + (t.wide_told if wide else t.last_told)
    kernel = t.wide_kernel if wide else t.last_kernel
    begin = part * t.part_depth
    rows = min(t.part_depth, t.depth - begin)
    sums = t.scratch + worker * t.scratch_bytes
    for place in range(36):
        a = t.v + part * t.v_part + place * t.v_place
        b = t.d + block * t.d_part + place * t.d_place
        c = sums + place * t.sums_place
        for row in range(0, rows, t.tile_rows):  # rows beyond the part are made, too, and not read
            call(kernel, (tile_told, a + 4 * row, b, t.zeros, c))
            c += t.tile_rows * t.sums_row
    for row in range(rows):
        transform(
            t.kernel,
            t.tail_kernel,
            sums + row * t.sums_row,
            6 * t.sums_place,
            t.sums_place,
            t.dw + (begin + row) * t.dw_depth + block * t.wide_bytes,
            3 * t.dw_tap,
            t.dw_tap,
            t.wide_vectors if wide else t.last_vectors,
            0 if wide else t.last_tail,
            t.vector_bytes,
            t.sums_row,
        )


def multiply(told, index, worker):
    """Adds the products of the chunk's tiles to the sums of one place, for some parts of the input channels."""
    t = products_at(told)
    place = index // t.part_tasks
    share = index - place * t.part_tasks
    for block in range(t.wide + (1 if t.last_kernel else 0)):
        wide = block < t.wide
        tile_told = t.told + (t.wide_told if wide else t.last_told)
        kernel = t.wide_kernel if wide else t.last_kernel
        b = t.d + place * t.d_place + block * t.d_part
        for part in range(t.parts * share // t.part_tasks, t.parts * (share + 1) // t.part_tasks):
            a = t.v + place * t.v_place + part * t.v_part
            begin = part * t.part_depth
            c = t.sums + place * t.sums_place + begin * t.sums_row + block * t.wide_bytes
            for row in range(0, min(t.part_depth, t.depth - begin), t.tile_rows):
                call(kernel, (tile_told, a + 4 * row, b, t.zeros if t.zeros else c, c))
                c += t.tile_rows * t.sums_row


def result(told, index, worker):
    """The gradient at the weights of one input channel."""
    t = result_at(told)
    transform(
        t.kernel,
        t.tail_kernel,
        t.sums + index * t.sums_depth,
        t.sums_row,
        t.sums_place,
        t.dw + index * t.dw_depth,
        3 * t.dw_tap,
        t.dw_tap,
        t.vectors,
        t.tail,
        t.vector_bytes,
        t.sums_depth,
    )
