"""Convolution as register tiles over the input in place: no columns are made."""

from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.native import call, copy, helper, load_float, load_int, record, store_float, zero
from deepcore.kernels.cpu.record import BLANK, CALL, CORRELATE, LINE, PACK, WEIGHTS

blank_at = record(BLANK)
call_at = record(CALL)
correlate_at = record(CORRELATE)
line_at = record(LINE)
pack_at = record(PACK)
weights_at = record(WEIGHTS)

CALL_BYTES, LINE_BYTES = CALL.itemsize, LINE.itemsize

SHORT_ROW = 1024  # bytes, of which all are zeroed in less time than what two more calls take


@helper
def fill(x, x_row, height, width, top, left, buffer, buffer_row, rows):
    """Rows ``top`` onwards of an image, with zeros where it has none; width, left and rows' lengths are bytes."""
    first = max(0, left)
    stop = min(buffer_row, left + width)
    if buffer_row <= SHORT_ROW:
        zero(buffer, rows * buffer_row)
        for row in range(max(0, -top), min(rows, height - top)):
            copy(buffer + row * buffer_row + first, x + (top + row) * x_row + first - left, max(0, stop - first))
        return
    for row in range(rows):
        to = buffer + row * buffer_row
        h = top + row
        if h < 0 or h >= height or stop <= first:
            zero(to, buffer_row)
        else:
            zero(to, first)
            copy(to + first, x + h * x_row + first - left, stop - first)
            zero(to + stop, buffer_row - stop)


@helper
def fill_apart(x, x_row, height, width, x_pixel, top, left, buffer, buffer_row, buffer_pixel, rows):
    """The same, with a gap behind every pixel; width and left are pixels."""
    columns = buffer_row // buffer_pixel
    first = min(columns, max(0, left))
    stop = max(first, min(columns, left + width))
    for row in range(rows):
        to = buffer + row * buffer_row
        h = top + row
        if h < 0 or h >= height:
            zero(to, buffer_row)
            continue
        zero(to, first * buffer_pixel)
        for column in range(first, stop):
            copy(to + column * buffer_pixel, x + h * x_row + (column - left) * x_pixel, x_pixel)
        zero(to + stop * buffer_pixel, (columns - stop) * buffer_pixel)


@helper
def weave(t, row, column, target, size):
    """The weights of one place, as every pixel that is made together reads it: zero where its window does not."""
    for c in range(t.depth):
        for pixel in range(t.together):
            tap = column - pixel * t.stride
            to = target + c * size + pixel * t.width * ITEM
            if 0 <= tap < t.taps:
                source = t.w + row * t.w_row + tap * t.w_column + c * t.w_depth
                for k in range(t.width):
                    store_float(to + ITEM * k, load_float(source + k * t.w_width))
            else:
                zero(to, t.width * ITEM)


@helper
def pack_tap(t, w, group, tap, block, target):
    """The weights of one tap of one group for one block of channels: [depth, width of the block]."""
    row = tap // t.columns
    filled = t.wide_bytes if block < t.wide else t.last_filled
    size = t.wide_bytes if block < t.wide else t.last_bytes
    source = w + group * t.w_group + row * t.w_row + (tap - row * t.columns) * t.w_column
    source += block * (t.wide_bytes // ITEM) * t.w_width
    if t.together == 1 and t.w_width == ITEM:
        kernel = t.wide_copy if block < t.wide else t.last_copy
        call(kernel, (source, t.w_depth, target, size, t.depth, t.last_lanes))
        return
    if t.together > 1:
        weave(t, row, tap - row * t.columns, target, size)
    else:
        whole = 0
        if t.w_depth == ITEM and t.depth >= t.lanes:
            whole = filled // (ITEM * t.lanes) * t.lanes
        woven = t.depth // t.lanes * t.lanes if whole else 0
        for k in range(0, whole, t.lanes):
            call(t.transpose, (source + k * t.w_width, t.w_width, t.lanes, target + ITEM * k, size, t.depth // t.lanes))
        for k in range(filled // ITEM):
            for c in range(woven if k < whole else 0, t.depth):
                store_float(target + c * size + ITEM * k, load_float(source + c * t.w_depth + k * t.w_width))
    if filled < size:
        for c in range(t.depth):
            zero(target + c * size + filled, size - filled)


def correlate(told, index, worker):
    """``rows`` output rows of each of ``images``, for ``channel_blocks`` wide blocks of output channels."""
    t = correlate_at(told)
    where = index // t.channel_tasks
    first_block = (index - where * t.channel_tasks) * t.channel_blocks
    image = where // t.blocks
    first = (where - image * t.blocks) * t.rows
    image *= t.images
    images = min(t.images, t.all_images - image)
    rows = min(t.rows, t.out_rows - first)
    x = t.x + image * t.x_image
    top = first * t.row_stride - t.before_rows
    x_row = t.x_row
    if t.padded:
        x_row = t.buffer_row
        buffer = t.scratch + worker * t.scratch_bytes
        fill(
            x,
            t.x_row,
            t.in_rows,
            t.in_columns * t.x_pixel,
            top,
            t.before_columns * t.x_pixel,
            buffer,
            x_row,
            (rows - 1) * t.row_stride + t.reach_rows,
        )
        a = buffer
    else:
        a = x + top * x_row - t.before_columns * t.x_pixel
    y = t.y + image * t.y_image + first * t.y_row
    a_row = t.row_stride * x_row
    for group in range(t.groups):
        for block in range(first_block, min(first_block + t.channel_blocks, t.wide + t.last)):
            wide = block < t.wide
            w = t.w + group * t.w_group + block * t.wide_w
            bias = t.bias + group * t.bias_group + block * t.wide_bytes
            filled = t.wide_bytes if wide else t.last_filled
            calls = t.calls + (0 if wide else CALL_BYTES)
            y_block = y + group * t.y_group + block * t.wide_bytes
            for part in range(t.parts):
                if t.pack:
                    size = t.tap_steps * (t.wide_bytes if wide else t.last_bytes)
                    panel = t.scratch + worker * t.scratch_bytes + t.panel
                    first_tap = part * t.part_taps
                    for tap in range(first_tap, min(first_tap + t.part_taps, t.taps)):
                        pack_tap(pack_at(t.pack), t.w, group, tap, block, panel + (tap - first_tap) * size)
                    w = panel - first_tap * size
                for each in range(images * rows):
                    of_task = each // rows
                    row = each - of_task * rows
                    line = line_at(t.lines + ((first + row) * t.parts + part) * LINE_BYTES)
                    a_of_row = a + of_task * t.x_image + group * t.x_group + row * a_row
                    y_of_row = y_block + of_task * t.y_image + row * t.y_row
                    for number in range(line.first, line.first + line.calls):
                        one = call_at(calls + number * 2 * CALL_BYTES)
                        c = y_of_row + one.c
                        for pixel in range(one.biased):
                            copy(c + pixel * t.y_pixel, bias, filled)
                        if not one.biased:
                            init = bias + one.init if one.begins else c
                            call(one.tile, (one.told, a_of_row + one.a, w + one.b, init, c))


def blank(told, index, worker):
    """Zeros for some rows of pixels, whichever image they are of."""
    t = blank_at(told)
    for each in range(t.all_rows * index // t.tasks, t.all_rows * (index + 1) // t.tasks):
        image = each // t.rows
        y = t.y + image * t.y_image + (each - image * t.rows) * t.y_row
        for column in range(t.columns):
            zero(y + column * t.y_pixel, t.pixel_bytes)


def pack(told, index, worker):
    """The weights of some places: of all, where they are few, so that no other thread is asked to help."""
    t = pack_at(told)
    for place in range(index * t.share, min((index + 1) * t.share, t.places)):
        where = place // t.blocks
        block = place - where * t.blocks
        group = where // (t.rows * t.columns)
        tap = where - group * t.rows * t.columns
        size = t.depth * (t.wide_bytes if block < t.wide else t.last_bytes)
        target = t.packed + group * t.group_bytes + block * t.wide_block + tap * size
        pack_tap(t, t.w, group, tap, block, target)


def weights(told, index, worker):
    """One piece of the images' rows, for some rows of dw and some blocks of output channels."""
    t = weights_at(told)
    where = index // t.channel_tasks
    first_block = (index - where * t.channel_tasks) * t.channel_blocks
    last_block = min(first_block + t.channel_blocks, t.wide + (1 if t.last_tall else 0))
    piece = where // t.row_tasks
    tiles = t.tall + t.low
    first_tile = t.runs * tiles * (where - piece * t.row_tasks) // t.row_tasks
    last_tile = t.runs * tiles * (where - piece * t.row_tasks + 1) // t.row_tasks
    dw = t.dw + piece * t.dw_piece
    for number in range(t.all_blocks * piece // t.pieces, t.all_blocks * (piece + 1) // t.pieces):
        image = number // t.blocks
        first = (number - image * t.blocks) * t.rows
        image *= t.images
        images = min(t.images, t.all_images - image)
        rows = min(t.rows, t.out_rows - first)
        top = first * t.row_stride - t.before_rows
        a = t.x + image * t.x_image + top * t.x_row - t.before_columns * t.x_pixel
        if t.padded:
            a = t.scratch + worker * t.scratch_bytes
            reach = (rows - 1) * t.row_stride + t.reach_rows
            for each in range(images):
                x, to = t.x + (image + each) * t.x_image, a + each * t.a_image
                if t.buffer_pixel == t.x_pixel:
                    width, left = t.in_columns * t.x_pixel, t.before_columns * t.x_pixel
                    fill(x, t.x_row, t.in_rows, width, top, left, to, t.buffer_row, reach)
                else:
                    width, left = t.in_columns, t.before_columns
                    pixel = t.buffer_pixel
                    fill_apart(x, t.x_row, t.in_rows, width, t.x_pixel, top, left, to, t.buffer_row, pixel, reach)
        rows *= images  # of dy, in which images follow each other
        dy = t.dy + (image * t.out_rows + first) * t.dy_row
        blocks, strips = last_block - first_block, -(-rows // t.strip) * t.chunks
        for group in range(t.groups):
            for each in range(blocks * strips):
                # All blocks read the same lines of dy where it lies; what is copied of it is read by one.
                block = first_block + (each // strips if t.panel else each % blocks)
                part = each % strips if t.panel else each // blocks
                strip = part // t.chunks * t.strip
                chunk = part % t.chunks
                wide = block < t.wide
                tall_tile = t.wide_tall if wide else t.last_tall
                low_tile = t.wide_low if wide else t.last_low
                filled = t.wide_bytes if wide else t.last_filled
                size = t.wide_bytes if wide else t.last_bytes
                strip_rows = min(t.strip, rows - strip)
                tile_told = t.told + strip_rows * t.part_bytes + (0 if wide else t.last_told)
                b = dy + strip * t.dy_row + chunk * t.chunk_dy + group * t.dy_group + block * t.wide_bytes
                if t.panel:
                    panel = t.scratch + worker * t.scratch_bytes + t.panel
                    for pixel in range(strip_rows * t.out_columns):
                        copy(panel + pixel * size, b + pixel * t.dw_row, filled)
                    b = panel
                for tile in range(first_tile, last_tile):
                    run = tile // tiles
                    in_run = tile - run * tiles
                    row = in_run * t.tall_rows - max(0, in_run - t.tall)
                    kernel = tall_tile if in_run < t.tall else low_tile
                    from_a = a + strip * t.a_row + chunk * t.chunk_x + group * t.x_group
                    from_a += load_int(t.starts + 8 * run) + ITEM * row
                    to_c = dw + group * t.dw_group + run * t.dw_run + block * t.wide_bytes + row * t.dw_row
                    call(kernel, (tile_told + run * t.run_told, from_a, b, to_c, to_c))
