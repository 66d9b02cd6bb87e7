"""Convolution 3 x 3 of stride 1 by Winograd's minimal filtering: plans for the tasks of ``kernels/cpu``.

float32 only, one group, no dilation. Every tile of m x m outputs has (m + 2)^2 places, for each of which there is one
matrix product of all tiles with the transformed weights.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.numpy import winograd_pieces
from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.packed import packed
from deepcore.backend.numpy.plans import CLAMPS, ITEM, PLANS, streams, tasks_wanted
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu import scratch
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.place import Strides, place
from deepcore.kernels.cpu.record import (
    TILE,
    WINOGRAD,
    WINOGRAD_BLOCK,
    WINOGRAD_GRADIENT,
    WINOGRAD_PRODUCTS,
    WINOGRAD_RESULT,
    WINOGRAD_WEIGHTS,
    address,
)
from deepcore.kernels.cpu.tile import most_rows, tile
from deepcore.kernels.cpu.transform import transform
from deepcore.kernels.cpu.transpose import transpose

FEW_PLACES = 64 * 36  # of all tiles, up to which weights are transformed part by part
PART_BYTES = 600_000  # transformed weights that are made and used at once, while they are in the second-level cache
BLOCK_PLACES = 96 * 36  # of a block of tiles: fewer read all weights more often, of more the sums leave the cache
BLOCK_BYTES = 450_000  # of a block's tiles and sums, where the weights stay in the second-level cache beside them
PART_VECTORS = 3  # of input channels that lie side by side for the gradient at the weights: tiles lose no row of them
FEW_TILES = 64  # of which a block of the gradient at the weights is made at once: more are read too often
CHUNK_BYTES = 2 << 20, 32 << 20  # transformed tiles between the two steps of the gradient at the weights
KEPT_BYTES = 10 << 20  # of all transformed weights, up to which they are kept with the weights that they are made of
STEP = 4  # tiles that one index of the first of them transforms
PAD = 64  # bytes between rows that would meet in one set of the cache, their distance being a power of two


# weights


def _parts(depth: int, bytes_of_step: int) -> tuple[int, int]:
    """(parts, steps of each) in which transformed weights are made and used; all but the last are whole vectors."""
    lanes = host().lanes
    parts = -(-depth * bytes_of_step // PART_BYTES)
    share = -(-depth // (parts * lanes)) * lanes
    return -(-depth // share), min(share, depth)


def _weight_fields(depth: int, part_depth: int, m: int, strides: tuple[int, ...], channels: Channels) -> dict[str, Any]:
    """What a task is told of weights [3, 3, depth, width] with these strides."""
    across = strides[3] != ITEM
    return {
        "w_row": strides[0],
        "w_tap": strides[1],
        "w_depth": strides[2],
        "w_width": strides[3],
        "weights": transform("weights", m),
        "weights_tail": transform("weights", m, True) if channels.tail else 0,
        "transpose": transpose() if across else 0,
        "transpose_tail": transpose(True) if across else 0,
        "vector_bytes": host().vector_bytes,
        "m": m,
        "wide": channels.wide,
        "wide_vectors": channels.vectors,
        "wide_bytes": channels.wide_bytes,
        "last_vectors": channels.last_vectors - channels.tail,
        "last_tail": channels.lanes * channels.tail,
        "last_bytes": channels.last_bytes,
        "depth": depth,
        "part_depth": part_depth,
    }


def _taps_bytes(part_depth: int, channels: Channels) -> int:
    """Of weights while they are transposed, of which a task has whole vectors."""
    return 9 * -(-part_depth // host().lanes) * host().lanes * channels.widest * host().vector_bytes


def transform_weights(w: np.ndarray, m: int, channels: Channels) -> np.ndarray:
    """w [3, 3, depth, width] as [places, (block of channels, depth, channel of the block)]."""
    u = empty(((m + 2) ** 2, w.shape[2] * channels.padded + PAD // ITEM), np.float32)
    _weight_transform(m, w.shape[2], w.strides, u.strides[0], channels)(address(w), address(u))
    return u


@functools.lru_cache(PLANS)
def _weight_transform(m: int, depth: int, strides: tuple[int, ...], u_place: int, channels: Channels) -> Launch:
    parts, part_depth = _parts(depth, (m + 2) ** 2 * channels.widest * host().vector_bytes)
    return Launch(
        WINOGRAD_WEIGHTS,
        ("winograd", "transform_weights"),
        ("w", "u"),
        channels.blocks * parts,
        _taps_bytes(part_depth, channels),
        u_place=u_place,
        parts=parts,
        **_weight_fields(depth, part_depth, m, strides, channels),
    )


# the output, and with it the gradient at the input


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    m: int,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    owner: np.ndarray | None = None,
) -> None:
    """Writes the convolution of x with w, and what follows it, to ``out``, in tiles of m x m outputs.

    Args:
        x: [N, H, W, C], C-contiguous float32.
        w: [3, 3, C, K] of any strides.
        rows, cols: how windows lie on x.
        m: 2 or 4.
        out: [N, P, Q, K], C-contiguous.
        bias: [K], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.
        owner: the array of which w is the whole, in its order: what is made of it can be kept.
    """
    if ITEM not in w.strides[2:]:
        w = np.ascontiguousarray(w)
    width = w.shape[3]
    clamped = activation if activation in CLAMPS else "linear"
    plan = _convolution(x.shape, width, w.strides, rows, cols, m, clamped, streams(out), tasks_wanted())
    bias = plan.zeros if bias is None else np.ascontiguousarray(bias)
    kept = None
    if owner is not None and 0 < plan.u_bytes <= KEPT_BYTES:
        kept = packed(owner, ("winograd", m), lambda _: transform_weights(w, m, Channels.of(width)))
    with scratch.borrow(1, plan.u_bytes + plan.v_bytes) as room:
        u = room.address if kept is None else address(kept)
        given = address(x), address(out), address(w), u, address(bias), room.address + plan.u_bytes
        if kept is None and plan.weights is not None:
            plan.weights(address(w), u)
        if plan.inputs is not None:
            plan.inputs(*given)
        plan.outputs(*given)
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


@dataclass(frozen=True)
class _Convolution:
    """The launches of a convolution.

    Attributes:
        weights: makes all transformed weights, or None where ``outputs`` makes them part by part.
        inputs: transforms all tiles, or None where ``outputs`` does so block by block.
        outputs: the rest.
        u_bytes, v_bytes: what the first two write.
        zeros: a bias, where there is none.
    """

    weights: Launch | None
    inputs: Launch | None
    outputs: Launch
    u_bytes: int
    v_bytes: int
    zeros: np.ndarray


@functools.lru_cache(PLANS)
def _convolution(
    x_shape: tuple[int, ...],
    width: int,
    w_strides: tuple[int, ...],
    rows: Axis,
    cols: Axis,
    m: int,
    activation: str,
    streamed: bool,
    tasks: int,
) -> _Convolution:
    depth = x_shape[3]
    channels, every = Channels.of(width), Channels.together(depth)
    vector, side = host().vector_bytes, m + 2
    widest = channels.widest * vector
    places = side * side
    tiles = x_shape[0] * -(-rows.outputs // m) * -(-cols.outputs // m)

    highest = most_rows(channels.widest, host())
    blocks = -(-tiles // _block(places, depth, widest, highest))
    block = -(-tiles // blocks)
    channel_tasks, channel_blocks = channels.split(-(-tasks // (2 * blocks)))
    tall_rows = Columns.of(block, highest).rows

    # Weights are transformed once, or for few tiles a part at a time, which is used while it is in the cache.
    once, shared = tiles * places > FEW_PLACES, channel_tasks > 1
    parts, part_depth = (1, depth) if once else _parts(depth, places * widest)
    u_place = depth * channels.padded * ITEM + PAD if once else part_depth * widest + PAD
    last_depth = Channels.together(depth - (parts - 1) * part_depth)
    v_tile = -(-part_depth // host().lanes) * vector
    v_place, sums_place = block * v_tile + PAD, block * widest + PAD
    v_part = places * v_place
    sums_at = 0 if shared else parts * v_part
    u_at = sums_at + places * sums_place
    patch_at = u_at + (0 if once else places * u_place)
    patch_bytes = vector if once else max(vector, _taps_bytes(part_depth, channels))
    clamp, zeros = np.array(CLAMPS[activation], np.float32), np.zeros(channels.padded, np.float32)
    kernels = np.zeros((2, 2, 2), np.int64)  # the first part of the depth and others; wide blocks and the last; heights
    for vectors, of_block in ((channels.vectors * bool(channels.wide), 0), (channels.last_vectors, 1)):
        strides = Strides(v_tile, ITEM, vectors * vector, widest)
        for adds, height in itertools.product(range(min(parts, 2)), (tall_rows, tall_rows - 1)):
            if vectors and height:
                kernels[adds, of_block, tall_rows - height] = place(height, vectors, strides, bool(adds))

    def launch(task: str, count: int) -> Launch:
        return Launch(
            WINOGRAD,
            ("winograd", task),
            ("x", "y", "w", "u", "bias", "v"),
            count,
            patch_at + patch_bytes,
            (kernels, clamp, zeros),
            **_weight_fields(depth, part_depth, m, w_strides, channels),
            x_image=rows.size * cols.size * depth * ITEM,
            x_row=cols.size * depth * ITEM,
            x_pixel=depth * ITEM,
            in_rows=rows.size,
            in_columns=cols.size,
            depth_vectors=last_depth.last_vectors - last_depth.tail,
            depth_tail=last_depth.lanes * last_depth.tail,
            part_vectors=part_depth // host().lanes,
            y_image=rows.outputs * cols.outputs * width * ITEM,
            y_row=cols.outputs * width * ITEM,
            y_pixel=width * ITEM,
            out_rows=rows.outputs,
            out_columns=cols.outputs,
            clamp=address(clamp),
            before_rows=rows.before,
            before_columns=cols.before,
            tile_rows=-(-rows.outputs // m),
            tile_columns=-(-cols.outputs // m),
            tiles=tiles,
            blocks=blocks,
            steps=-(-block // STEP),
            step=STEP,
            v_block=parts * v_part if shared else 0,
            v_part=v_part,
            v_place=v_place,
            v_tile=v_tile,
            sums_at=sums_at,
            sums_place=sums_place,
            sums_tile=widest,
            u_at=0 if once else u_at,
            u_place=u_place,
            patch_at=patch_at,
            input=transform("input", m),
            input_tail=transform("input", m, True) if every.tail else 0,
            input_edge=transform("input", m, edge=True),
            input_edge_tail=transform("input", m, True, edge=True) if every.tail else 0,
            output=transform("output", m, streams=streamed),
            output_tail=transform("output", m, True) if channels.tail else 0,
            output_edge=transform("output", m, edge=True),
            output_edge_tail=transform("output", m, True, edge=True) if channels.tail else 0,
            zeros=address(zeros),
            kernels=address(kernels),
            parts=parts,
            tall_rows=tall_rows,
            channel_tasks=channel_tasks,
            channel_blocks=channel_blocks,
        )

    return _Convolution(
        _weight_transform(m, depth, w_strides, u_place, channels) if once else None,
        launch("transform_inputs", blocks * -(-block // STEP)) if shared else None,
        launch("convolve", blocks * channel_tasks),
        places * u_place if once else 0,
        blocks * parts * v_part if shared else 0,
        zeros,
    )


def _block(places: int, depth: int, widest: int, highest: int) -> int:
    """Tiles that are transformed, multiplied and transformed back together: whole register tiles of them."""
    most = BLOCK_PLACES // places
    if places * depth * widest <= PART_BYTES:
        v_tile = -(-depth // host().lanes) * host().vector_bytes
        most = min(most, BLOCK_BYTES // (places * (v_tile + widest)))
    return max(1, most // highest) * highest


# the gradient at the weights


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32, in tiles of 4 x 4 outputs."""
    depth, width = x.shape[3], dy.shape[3]
    tiles = x.shape[0] * -(-rows.outputs // 4) * -(-cols.outputs // 4)
    pieces = winograd_pieces.Pieces.of(depth, width, tiles)
    if pieces:
        return winograd_pieces.weight_gradient(x, dy, rows, cols, pieces)
    dw = empty((3, 3, depth, width), np.float32)
    if tiles <= FEW_TILES:
        few = _gradient_by_blocks(x.shape, width, rows, cols, tiles)
        with scratch.borrow(1, few.tile_bytes) as room:
            v, d = room.address, room.address + few.d_at
            few.transform(address(x), address(dy), v, d, 0, tiles)
            few.multiply(v, d, address(dw))
        return dw
    plan = _gradient_by_chunks(x.shape, width, rows, cols, tiles, tasks_wanted())
    with scratch.borrow(1, plan.tile_bytes + plan.sums_bytes) as room:
        v, d, sums = room.address, room.address + plan.d_at, room.address + plan.tile_bytes
        for first in range(0, tiles, plan.chunk):
            last = min(first + plan.chunk, tiles)
            plan.transform(address(x), address(dy), v, d, first, last)
            plan.multiply(v, d, sums, *plan.told(first, last))
        plan.result(sums, address(dw))
    return dw


def _chunk(tiles: int, depth: int, width: int) -> int:
    """Tiles between one step and the next: each chunk reads and writes all the sums once more."""
    sums_bytes = 36 * depth * width * ITEM
    chunk_bytes = min(max(CHUNK_BYTES[0], 2 * sums_bytes), CHUNK_BYTES[1])
    chunk = min(tiles, max(FEW_TILES, chunk_bytes // (36 * (depth + width) * ITEM)))
    return -(-tiles // -(-tiles // chunk))


@dataclass(frozen=True)
class _Layout:
    """Where transformed tiles lie: [part of the channels][place][tile][channel], the parts but the last of ``vectors``.

    Or [place][part of the channels][tile][channel].

    Attributes:
        parts, vectors: of channels.
        last_vectors, last_tail: whole vectors of the last part, and the lanes of one that is not.
        part, place, tile: bytes from one to the next.
    """

    parts: int
    vectors: int
    last_vectors: int
    last_tail: int
    part: int
    place: int
    tile: int

    @staticmethod
    def of(channels: int, tiles: int, vectors: int, by_place: bool) -> _Layout:
        vectors = min(vectors, Channels.together(channels).last_vectors)
        parts = -(-channels // (vectors * host().lanes))
        last = Channels.together(channels - (parts - 1) * vectors * host().lanes)
        tile = vectors * host().vector_bytes
        inner = tiles * tile + PAD
        part, place = (inner, parts * inner) if by_place else (36 * inner, inner)
        return _Layout(parts, vectors, last.last_vectors - last.tail, last.lanes * last.tail, part, place, tile)

    @property
    def bytes(self) -> int:
        return max(self.parts * self.part, 36 * self.place)


def _transform_tiles(
    x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, most: int, v: _Layout, d: _Layout
) -> Launch:
    """The launch that transforms the tiles ``first`` to ``last`` of x and dy, at ``most`` so many."""
    m, depth = 4, x_shape[3]
    return Launch(
        WINOGRAD_GRADIENT,
        ("winograd", "transform_tiles"),
        ("x", "dy", "v", "d", "first", "last"),
        -(-most // STEP),
        ITEM * max(36 * depth, m * m * width),
        x_image=rows.size * cols.size * depth * ITEM,
        x_row=cols.size * depth * ITEM,
        x_pixel=depth * ITEM,
        in_rows=rows.size,
        in_columns=cols.size,
        depth_parts=v.parts,
        part_vectors=v.vectors,
        depth_vectors=v.last_vectors,
        depth_tail=v.last_tail,
        dy_image=rows.outputs * cols.outputs * width * ITEM,
        dy_row=cols.outputs * width * ITEM,
        dy_pixel=width * ITEM,
        out_rows=rows.outputs,
        out_columns=cols.outputs,
        width_parts=d.parts,
        block_vectors=d.vectors,
        width_vectors=d.last_vectors,
        width_tail=d.last_tail,
        before_rows=rows.before,
        before_columns=cols.before,
        m=m,
        tile_rows=-(-rows.outputs // m),
        tile_columns=-(-cols.outputs // m),
        step=STEP,
        v_part=v.part,
        v_place=v.place,
        v_tile=v.tile,
        d_part=d.part,
        d_place=d.place,
        d_tile=d.tile,
        input=transform("input", m),
        input_tail=transform("input", m, True) if v.last_tail else 0,
        output=transform("output_gradient", m),
        output_tail=transform("output_gradient", m, True) if d.last_tail else 0,
        vector_bytes=host().vector_bytes,
    )


@dataclass(frozen=True)
class _ByBlocks:
    """The two launches where all tiles are transformed at once, and where the tiles of dy lie behind those of x."""

    transform: Launch
    multiply: Launch
    tile_bytes: int
    d_at: int


@functools.lru_cache(PLANS)
def _gradient_by_blocks(x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, tiles: int) -> _ByBlocks:
    depth, channels = x_shape[3], Channels.of(width)
    vector = host().vector_bytes
    widest = channels.widest * vector
    v = _Layout.of(depth, tiles, PART_VECTORS, by_place=False)
    d = _Layout.of(width, tiles, channels.widest, by_place=False)
    tile_rows = _tile_rows(v, channels)
    part_depth = v.vectors * host().lanes
    sums_place = -(-part_depth // tile_rows) * tile_rows * widest + PAD

    start, zeros = np.zeros(1, np.int64), np.zeros(widest // ITEM, np.float32)
    told = np.zeros(2, TILE)  # of wide blocks, and of the last
    told["a_row"], told["a_step"], told["offsets"], told["runs"] = ITEM, v.tile, address(start), 1
    told["b_step"], told["c_row"], told["steps"] = d.tile, widest, tiles
    told["next_a"], told["next_step"] = v.place, v.tile  # tiles of other rows ask for other lines of the next place
    told["floor"], told["ceiling"] = -np.inf, np.inf
    multiply = Launch(
        WINOGRAD_BLOCK,
        ("winograd", "gradient_of_block"),
        ("v", "d", "dw"),
        channels.blocks * v.parts,
        36 * sums_place,
        (told, start, zeros),
        v_part=v.part,
        v_place=v.place,
        d_part=d.part,
        d_place=d.place,
        depth=depth,
        parts=v.parts,
        part_depth=part_depth,
        zeros=address(zeros),
        told=address(told),
        **_block_kernels(channels, tile_rows, told),
        wide_vectors=channels.vectors,
        last_vectors=channels.last_vectors - channels.tail,
        last_tail=channels.lanes * channels.tail,
        sums_place=sums_place,
        sums_row=widest,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
        kernel=transform("weights_gradient", 4),
        tail_kernel=transform("weights_gradient", 4, True) if channels.tail else 0,
        vector_bytes=vector,
    )
    transforms = _transform_tiles(x_shape, width, rows, cols, tiles, v, d)
    return _ByBlocks(transforms, multiply, v.bytes + d.bytes + PAD, v.bytes)


def _tile_rows(v: _Layout, channels: Channels) -> int:
    """Rows of the tiles for a part of the input channels: only of the last part they may reach beyond."""
    part_depth = v.vectors * host().lanes
    rows = Columns.of(part_depth, most_rows(channels.widest, host())).rows
    assert v.parts == 1 or part_depth % rows == 0
    return rows


def _block_kernels(channels: Channels, tile_rows: int, told: np.ndarray) -> dict[str, Any]:
    """What a task is told of blocks of output channels; ``told`` ends on a ``TILE`` for wide ones and for the last."""
    return {
        "wide": channels.wide,
        "wide_bytes": channels.wide_bytes,
        "wide_kernel": tile(tile_rows, channels.vectors, down=True) if channels.wide else 0,
        "last_kernel": tile(tile_rows, channels.last_vectors, down=True) if channels.last_vectors else 0,
        "wide_told": 0,
        "last_told": told.strides[-1],
        "tile_rows": tile_rows,
    }


@dataclass(frozen=True)
class _ByChunks:
    """The three launches where the tiles are many: the first two for each chunk of them.

    Attributes:
        chunk: tiles of each but the last.
        tile_bytes, d_at: of the transformed tiles of x and dy, and where those of dy begin.
        sums_bytes: of the sums.
        tile_records: ``TILE`` records for a whole chunk and for the last one, each first to be summed and not; of wide
            blocks and of the last.
        zeros: what the first sums begin with.
    """

    transform: Launch
    multiply: Launch
    result: Launch
    chunk: int
    tile_bytes: int
    d_at: int
    sums_bytes: int
    tile_records: np.ndarray
    zeros: np.ndarray

    def told(self, first: int, last: int) -> tuple[int, int]:
        """The address of the records for these tiles, and that of zeros if there are no sums yet."""
        records = self.tile_records[int(last - first < self.chunk), int(first > 0)]
        return address(records), 0 if first else address(self.zeros)


@functools.lru_cache(PLANS)
def _gradient_by_chunks(
    x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, tiles: int, tasks: int
) -> _ByChunks:
    depth, chunk = x_shape[3], _chunk(tiles, x_shape[3], width)
    channels, every = Channels.of(width), Channels.together(width)
    v = _Layout.of(depth, chunk, PART_VECTORS, by_place=True)
    d = _Layout.of(width, chunk, channels.widest, by_place=True)
    tile_rows = _tile_rows(v, channels)
    part_depth = v.vectors * host().lanes
    sums_row = every.padded * ITEM
    sums_place = -(-depth // tile_rows) * tile_rows * sums_row + PAD

    start, zeros = np.zeros(1, np.int64), np.zeros(channels.widest * host().lanes, np.float32)
    told = np.zeros((2, 2, 2), TILE)
    told["a_row"], told["a_step"], told["offsets"], told["runs"] = ITEM, v.tile, address(start), 1
    told["b_step"], told["c_row"] = d.tile, sums_row
    told["init_row"][:, 1] = sums_row
    told["next_a"], told["next_step"] = v.part, v.tile  # tiles of other rows ask for other lines of the next part
    told["floor"], told["ceiling"] = -np.inf, np.inf
    told["steps"][0], told["steps"][1] = chunk, tiles - (-(-tiles // chunk) - 1) * chunk
    part_tasks = min(v.parts, -(-tasks // 36))
    multiply = Launch(
        WINOGRAD_PRODUCTS,
        ("winograd", "multiply"),
        ("v", "d", "sums", "told", "zeros"),
        36 * part_tasks,
        keep=(told, start, zeros),
        v_part=v.part,
        v_place=v.place,
        d_part=d.part,
        d_place=d.place,
        sums_place=sums_place,
        sums_row=sums_row,
        depth=depth,
        parts=v.parts,
        part_depth=part_depth,
        part_tasks=part_tasks,
        **_block_kernels(channels, tile_rows, told),
    )
    result = Launch(
        WINOGRAD_RESULT,
        ("winograd", "result"),
        ("sums", "dw"),
        depth,
        sums_row=6 * sums_place,
        sums_place=sums_place,
        sums_depth=sums_row,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
        vectors=every.last_vectors - every.tail,
        tail=every.lanes * every.tail,
        kernel=transform("weights_gradient", 4),
        tail_kernel=transform("weights_gradient", 4, True) if every.tail else 0,
        vector_bytes=host().vector_bytes,
    )
    transforms = _transform_tiles(x_shape, width, rows, cols, chunk, v, d)
    return _ByChunks(
        transforms, multiply, result, chunk, v.bytes + d.bytes + PAD, v.bytes, 36 * sums_place, told, zeros
    )
