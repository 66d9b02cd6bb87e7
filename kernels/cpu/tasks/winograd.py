"""Winograd's convolution: transform tiles, multiply place by place, transform back, while all of it is in the cache.

The places of a tile are the (m + 2)^2 positions of its transform. For each there is one matrix product, of the tiles
with the weights over the input channels.
"""

from deepcore.kernels.cpu.native import call, copy, helper, record
from deepcore.kernels.cpu.record import (
    WINOGRAD,
    WINOGRAD_GRADIENT,
    WINOGRAD_PRODUCTS,
    WINOGRAD_RESULT,
    WINOGRAD_WEIGHTS,
)
from deepcore.kernels.cpu.tasks.convolution import fill

weights_at = record(WINOGRAD_WEIGHTS)
winograd_at = record(WINOGRAD)
gradient_at = record(WINOGRAD_GRADIENT)
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
    bias,
    clamp,
):
    """All channels of a tile: whole vectors, then the rest of the last one."""
    if vectors:
        call(kernel, (source, source_row, source_pixel, target, target_row, target_place, vectors, bias, clamp))
    if tail:
        done = vectors * vector_bytes
        call(
            tail_kernel,
            (
                source + done,
                source_row,
                source_pixel,
                target + done,
                target_row,
                target_place,
                tail,
                bias + done,
                clamp,
            ),
        )


@helper
def place_of(t, tile):
    """(image, first row, first column) of the outputs of a tile."""
    image_tiles = t.tile_rows * t.tile_columns
    image = tile // image_tiles
    row = (tile - image * image_tiles) // t.tile_columns
    return image, row * t.m, (tile - image * image_tiles - row * t.tile_columns) * t.m


@helper
def transform_input(t, tile, target, patch):
    """What a tile reads of x, by way of ``patch`` where it reaches beyond."""
    image, row, column = place_of(t, tile)
    side = t.m + 2
    top = row - t.before_rows
    left = column - t.before_columns
    source = t.x + image * t.x_image
    source_row = t.x_row
    if top >= 0 and left >= 0 and top + side <= t.in_rows and left + side <= t.in_columns:
        source += top * t.x_row + left * t.x_pixel
    else:
        source_row = side * t.x_pixel
        fill(source, t.x_row, t.in_rows, t.in_columns * t.x_pixel, top, -left * t.x_pixel, patch, source_row, side)
        source = patch
    transform(
        t.input,
        t.input_tail,
        source,
        source_row,
        t.x_pixel,
        target,
        side * t.v_place,
        t.v_place,
        t.depth_vectors,
        t.depth_tail,
        t.vector_bytes,
        0,
        0,
    )


def transform_weights(told, index, worker):
    """The weights of one input channel."""
    t = weights_at(told)
    for block in range(t.wide + (1 if t.last_bytes else 0)):
        size = t.wide_bytes if block < t.wide else t.last_bytes
        source = t.w + index * t.w_depth + block * t.wide_bytes
        target = t.u + block * t.wide_u + index * size
        call(t.transform, (source, 3 * t.w_tap, t.w_tap, target, t.u_row, t.u_place, size // t.vector_bytes, 0, 0))


def convolve(told, index, worker):
    """``block`` tiles, all the way from x to y, for some of the output channels."""
    t = winograd_at(told)
    number = index // t.channel_tasks
    first_block = (index - number * t.channel_tasks) * t.channel_blocks
    last_block = min(first_block + t.channel_blocks, t.wide + (1 if t.last_kernel else 0))
    first = number * t.block
    last = min(first + t.block, t.tiles)
    v = t.scratch + worker * t.scratch_bytes
    sums = v + t.sums_at
    patch = v + t.patch_at
    side = t.m + 2
    for tile in range(first, last):
        transform_input(t, tile, v + (tile - first) * t.v_tile, patch)
    calls = (last - first + t.kernel_rows - 1) // t.kernel_rows
    for block in range(first_block, last_block):
        wide = block < t.wide
        kernel = t.wide_kernel if wide else t.last_kernel
        tile_told = t.told + (t.wide_told if wide else t.last_told)
        for place in range(side * side):
            a = v + place * t.v_place
            c = sums + place * t.sums_place
            for _ in range(calls):
                call(kernel, (tile_told, a, t.u + place * t.u_place + block * t.wide_u, t.zeros, c))
                a += t.kernel_rows * t.v_tile
                c += t.kernel_rows * t.sums_tile
        vectors = t.wide_vectors if wide else t.last_vectors
        tail = 0 if wide else t.last_tail
        begin = block * t.wide_bytes
        for tile in range(first, last):
            image, row, column = place_of(t, tile)
            target = t.y + image * t.y_image + row * t.y_row + column * t.y_pixel + begin
            source = sums + (tile - first) * t.sums_tile
            if row + t.m <= t.out_rows and column + t.m <= t.out_columns:
                transform(
                    t.output,
                    t.output_tail,
                    source,
                    side * t.sums_place,
                    t.sums_place,
                    target,
                    t.y_row,
                    t.y_pixel,
                    vectors,
                    tail,
                    t.vector_bytes,
                    t.bias + begin,
                    t.clamp,
                )
            else:
                size = vectors * t.vector_bytes + 4 * tail
                transform(
                    t.output,
                    t.output_tail,
                    source,
                    side * t.sums_place,
                    t.sums_place,
                    patch,
                    t.m * size,
                    size,
                    vectors,
                    tail,
                    t.vector_bytes,
                    t.bias + begin,
                    t.clamp,
                )
                for i in range(min(t.m, t.out_rows - row)):
                    for j in range(min(t.m, t.out_columns - column)):
                        copy(target + i * t.y_row + j * t.y_pixel, patch + (i * t.m + j) * size, size)


def transform_tiles(told, index, worker):
    """``step`` tiles of x and of dy for the gradient at the weights."""
    t = gradient_at(told)
    side = t.m + 2
    patch = t.scratch + worker * t.scratch_bytes
    first = t.first + index * t.step
    for tile in range(first, min(first + t.step, t.last)):
        transform_input(t, tile, t.v + (tile - t.first) * t.v_tile, patch)
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
        transform(
            t.output,
            t.output_tail,
            source,
            source_row,
            t.dy_pixel,
            t.d + (tile - t.first) * t.d_tile,
            side * t.d_place,
            t.d_place,
            t.width_vectors,
            t.width_tail,
            t.vector_bytes,
            0,
            0,
        )


def multiply(told, index, worker):
    """Adds the products of the chunk's tiles to the sums of one place, for one part of the input channels."""
    t = products_at(told)
    place = index // t.parts
    part = index - place * t.parts
    tiles = t.tall + t.low
    begin = tiles * part // t.parts
    end = tiles * (part + 1) // t.parts
    for block in range(t.wide + (1 if t.last_tall else 0)):
        wide = block < t.wide
        tile_told = t.told + (t.wide_told if wide else t.last_told)
        b = t.d + place * t.d_place + block * t.wide_bytes
        for tile in range(begin, end):
            row = tile * t.tall_rows - max(0, tile - t.tall)
            tall = tile < t.tall
            kernel = t.wide_tall if wide else t.last_tall
            if not tall:
                kernel = t.wide_low if wide else t.last_low
            c = t.sums + place * t.sums_place + row * t.sums_row + block * t.wide_bytes
            call(kernel, (tile_told, t.v + place * t.v_place + 4 * row, b, c, c))


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
        0,
        0,
    )
