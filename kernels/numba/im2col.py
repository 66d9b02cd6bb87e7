"""Columns of a convolution: every output pixel's window laid out as one row of a matrix, and the way back.

Images are [N, H, W * C], so that neighbouring taps of one window row are one contiguous run wherever they may be.
Columns are [groups, pixels, taps * channels of a group] with the taps in row-major order. A window's rows start
``top`` above and ``left`` beside the image; what lies outside reads as zero.
"""

from deepcore.kernels.numba.jit import index, inline, parallel, part_of


@inline
def gather_window(x, columns, n, p, q, pixel, group, window, stride, dilation, start, channels, runs, length):
    """Fills the row ``pixel`` of the columns of ``group`` from the window of output (p, q) of image n."""
    height, row_length = x.shape[1], x.shape[2]
    for r in range(window[0]):
        h = p * stride[0] + r * dilation[0] - start[0]
        for t in range(runs):
            begin = (q * stride[1] + t * dilation[1] - start[1]) * channels + group * length
            low = min(max(0, -begin), length)
            high = max(low, min(length, row_length - begin))
            if h < 0 or h >= height:
                low = high = length
            at = (r * runs + t) * length
            for e in range(low):
                columns[group, pixel, index(at + e)] = 0
            for e in range(low, high):
                columns[group, pixel, index(at + e)] = x[n, h, index(begin + e)]
            for e in range(high, length):
                columns[group, pixel, index(at + e)] = 0


@parallel
def im2col(piece, x, columns, first, rows, out_size, window, stride, dilation, start, channels, runs, length):
    """Columns of ``rows`` output rows from row ``first``, counted through all images.

    A window row is ``runs`` runs of ``length`` elements: one of all its taps where these are neighbours in memory (no
    dilation, no groups), else one a tap.
    """
    out_height, out_width = out_size
    for row in part_of(piece, rows):
        n = (first + row) // out_height
        p = (first + row) % out_height
        for q in range(out_width):
            for group in range(columns.shape[0]):
                gather_window(
                    x,
                    columns,
                    n,
                    p,
                    q,
                    row * out_width + q,
                    group,
                    window,
                    stride,
                    dilation,
                    start,
                    channels,
                    runs,
                    length,
                )


@inline
def add_row(columns, x, n, h, image, group, rows, out_width, window, stride, dilation, start, channels, runs, length):
    """Adds to row h of image n all that the windows of the output rows ``rows`` hold of it."""
    row_length = x.shape[2]
    first, last = rows
    for r in range(window[0]):
        reach = h + start[0] - r * dilation[0]
        p = reach // stride[0]
        if p * stride[0] == reach and first <= p < last:
            for q in range(out_width):
                pixel = (image * (last - first) + p - first) * out_width + q
                for t in range(runs):
                    begin = (q * stride[1] + t * dilation[1] - start[1]) * channels + group * length
                    at = (r * runs + t) * length
                    for e in range(max(0, -begin), min(length, row_length - begin)):
                        x[n, h, index(begin + e)] += columns[group, pixel, index(at + e)]


@parallel
def col2im(piece, columns, x, images, rows, out_width, window, stride, dilation, start, channels, runs, length):
    """Adds the columns of the output rows ``rows`` of ``images`` (both first and last) to the pixels they came from.

    Every row of x belongs to one thread, which adds in a fixed order.
    """
    height = x.shape[1]
    for row in part_of(piece, (images[1] - images[0]) * height):
        image = row // height
        for group in range(columns.shape[0]):
            add_row(
                columns,
                x,
                images[0] + image,
                row % height,
                image,
                group,
                rows,
                out_width,
                window,
                stride,
                dilation,
                start,
                channels,
                runs,
                length,
            )
