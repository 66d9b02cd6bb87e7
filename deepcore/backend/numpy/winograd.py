"""Convolution 3 x 3 of stride 1 by Winograd's minimal filtering: plans for the tasks of ``kernels/cpu``.

float32 only, one group, no dilation. Every tile of m x m outputs has (m + 2)^2 places, for each of which there is one
matrix product of all tiles with the transformed weights.
"""

from __future__ import annotations

import functools
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
from deepcore.backend.numpy.winograd_tiles import (
    GRADIENT_TILE,
    PAD,
    TAPS,
    Layout,
    image,
    places_of,
    products,
    tiles_of,
)
from deepcore.kernels.cpu import scratch
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.place import Strides
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

PLACES = places_of(GRADIENT_TILE)
FEW_PLACES = 64 * 36  # of all tiles, up to which weights are transformed part by part
PART_BYTES = 600_000  # transformed weights that are made and used at once, while they are in the second-level cache
BLOCK_PLACES = 96 * 36  # of a block of tiles: fewer read all weights more often, of more the sums leave the cache
BLOCK_BYTES = 450_000  # of a block's tiles and sums, where the weights stay in the second-level cache beside them
OWN_TILES = 48  # of a block at least, where there are more of them so that every task has its own
PART_VECTORS = 3  # of input channels that lie side by side for the gradient at the weights: tiles lose no row of them
FEW_TILES = 64  # of which a block of the gradient at the weights is made at once: more are read too often
CHUNK_BYTES = 2 << 20, 32 << 20  # transformed tiles between the two steps of the gradient at the weights
KEPT_BYTES = 10 << 20  # of all transformed weights, up to which they are kept with the weights that they are made of
STEP = 4  # tiles that one index of the first of them transforms


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
    return TAPS * -(-part_depth // host().lanes) * host().lanes * channels.widest * host().vector_bytes


def transform_weights(w: np.ndarray, m: int, channels: Channels) -> np.ndarray:
    """w [3, 3, depth, width] as [places, (block of channels, depth, channel of the block)]."""
    u = empty((places_of(m), w.shape[2] * channels.padded + PAD // ITEM), np.float32)
    _weight_transform(m, w.shape[2], w.strides, u.strides[0], channels)(address(w), address(u))
    return u


@functools.lru_cache(PLANS)
def _weight_transform(m: int, depth: int, strides: tuple[int, ...], u_place: int, channels: Channels) -> Launch:
    parts, part_depth = _parts(depth, places_of(m) * channels.widest * host().vector_bytes)
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


@dataclass(frozen=True)
class _Cut:
    """How a convolution is cut into blocks and parts, and where in a worker's memory lies what it makes of them.

    That is, one behind the other: the transformed tiles of a block, where no other task uses them; sums; transformed
    weights of a part, where they are not made once for all; and what these are transposed to, or outputs that nobody
    reads.

    Attributes:
        channels: how the output's are cut.
        places: of a tile.
        tiles, blocks: of all images, and how many blocks they are cut into.
        tall_rows: tiles of a product, of which some have one less.
        channel_tasks, channel_blocks: tasks that use the same block, and blocks of output channels that each makes.
        once: whether all weights are transformed before. Else, for few tiles, that is done part by part, each of which
            is used while it is in the cache.
        parts, part_depth: of the input channels whose products are made at once.
        layout: of the transformed tiles of a block.
    """

    channels: Channels
    places: int
    tiles: int
    blocks: int
    tall_rows: int
    channel_tasks: int
    channel_blocks: int
    once: bool
    parts: int
    part_depth: int
    layout: Layout

    @staticmethod
    def of(depth: int, width: int, tiles: int, m: int, tasks: int) -> _Cut:
        channels, places = Channels.of(width), places_of(m)
        highest, widest = most_rows(channels.widest, host()), channels.widest * host().vector_bytes
        blocks = -(-tiles // _block(places, depth, widest, highest))
        # A block that tasks share is written and read again. With a block for each of them, all weights are read again.
        enough = -(-tasks // 2)
        if blocks < enough <= tiles // OWN_TILES and (enough - blocks) * width < 2 * tiles:
            blocks = enough
        block = -(-tiles // blocks)
        once = tiles * places > FEW_PLACES
        parts, part_depth = (1, depth) if once else _parts(depth, places * widest)
        channel_tasks, channel_blocks = channels.split(-(-tasks // (2 * blocks)))
        return _Cut(
            channels=channels,
            places=places,
            tiles=tiles,
            blocks=blocks,
            tall_rows=Columns.of(block, highest).rows,
            channel_tasks=channel_tasks,
            channel_blocks=channel_blocks,
            once=once,
            parts=parts,
            part_depth=part_depth,
            layout=Layout.of(depth, block, places, -(-part_depth // host().lanes)),
        )

    @property
    def block(self) -> int:
        """Tiles of a block, at most."""
        return -(-self.tiles // self.blocks)

    @property
    def shared(self) -> bool:
        """Whether several tasks use the same block, whose tiles are transformed before."""
        return self.channel_tasks > 1

    @property
    def sums_tile(self) -> int:
        """Bytes of the sums of a tile at one place: the widest block of output channels."""
        return self.channels.widest * host().vector_bytes

    @property
    def sums_place(self) -> int:
        return self.block * self.sums_tile + PAD

    @property
    def u_place(self) -> int:
        """Bytes of the transformed weights at one place, of all or of a part."""
        return self.part_depth * (self.channels.padded * ITEM if self.once else self.sums_tile) + PAD

    @property
    def sums_at(self) -> int:
        return 0 if self.shared else self.layout.bytes

    @property
    def u_at(self) -> int:
        return self.sums_at + self.places * self.sums_place

    @property
    def patch_at(self) -> int:
        return self.u_at + (0 if self.once else self.places * self.u_place)

    @property
    def bytes(self) -> int:
        """Of a worker's memory."""
        patch = host().vector_bytes if self.once else _taps_bytes(self.part_depth, self.channels)
        return self.patch_at + patch


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
    cut = _Cut.of(depth, width, tiles_of(x_shape[0], rows, cols, m), m, tasks)
    channels, layout = cut.channels, cut.layout
    tiles = image("input", m, depth, rows, cols, layout)
    kernels = products(
        channels,
        (cut.tall_rows, cut.tall_rows - 1),
        lambda vectors: Strides(layout.tile, ITEM, vectors * host().vector_bytes, cut.sums_tile),
        min(cut.parts - 1, 1),
    )
    clamp, zeros = np.array(CLAMPS[activation], np.float32), np.zeros(channels.padded, np.float32)
    steps = -(-cut.block // STEP)

    def launch(task: str, count: int) -> Launch:
        return Launch(
            WINOGRAD,
            ("winograd", task),
            ("x", "y", "w", "u", "bias", "v"),
            count,
            cut.bytes,
            (tiles, kernels, clamp, zeros),
            **_weight_fields(depth, cut.part_depth, m, w_strides, channels),
            x_tiles=address(tiles),
            y_image=rows.outputs * cols.outputs * width * ITEM,
            y_row=cols.outputs * width * ITEM,
            y_pixel=width * ITEM,
            out_rows=rows.outputs,
            out_columns=cols.outputs,
            clamp=address(clamp),
            tiles=cut.tiles,
            blocks=cut.blocks,
            steps=steps,
            step=STEP,
            v_block=layout.bytes if cut.shared else 0,
            v_part=layout.part,
            v_place=layout.place,
            v_tile=layout.tile,
            sums_at=cut.sums_at,
            sums_place=cut.sums_place,
            sums_tile=cut.sums_tile,
            u_at=0 if cut.once else cut.u_at,
            u_place=cut.u_place,
            patch_at=cut.patch_at,
            output=transform("output", m, streams=streamed),
            output_tail=transform("output", m, True) if channels.tail else 0,
            output_edge=transform("output", m, edge=True),
            output_edge_tail=transform("output", m, True, edge=True) if channels.tail else 0,
            kernels=address(kernels),
            parts=cut.parts,
            tall_rows=cut.tall_rows,
            channel_tasks=cut.channel_tasks,
            channel_blocks=cut.channel_blocks,
        )

    return _Convolution(
        _weight_transform(m, depth, w_strides, cut.u_place, channels) if cut.once else None,
        launch("transform_inputs", cut.blocks * steps) if cut.shared else None,
        launch("convolve", cut.blocks * cut.channel_tasks),
        cut.places * cut.u_place if cut.once else 0,
        cut.blocks * layout.bytes if cut.shared else 0,
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
    tiles = tiles_of(x.shape[0], rows, cols, GRADIENT_TILE)
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
    sums_bytes = PLACES * depth * width * ITEM
    chunk_bytes = min(max(CHUNK_BYTES[0], 2 * sums_bytes), CHUNK_BYTES[1])
    chunk = min(tiles, max(FEW_TILES, chunk_bytes // (PLACES * (depth + width) * ITEM)))
    return -(-tiles // -(-tiles // chunk))


def _transform_tiles(
    x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, most: int, v: Layout, d: Layout
) -> Launch:
    """The launch that transforms the tiles ``first`` to ``last`` of x and dy, at ``most`` so many."""
    x_tiles = image("input", GRADIENT_TILE, x_shape[3], rows, cols, v)
    dy_tiles = image("output_gradient", GRADIENT_TILE, width, rows, cols, d)
    return Launch(
        WINOGRAD_GRADIENT,
        ("winograd", "transform_tiles"),
        ("x", "dy", "v", "d", "first", "last"),
        -(-most // STEP),
        keep=(x_tiles, dy_tiles),
        x_tiles=address(x_tiles),
        v_tile=v.tile,
        dy_tiles=address(dy_tiles),
        d_tile=d.tile,
        step=STEP,
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
    v = Layout.of(depth, tiles, PLACES, PART_VECTORS)
    d = Layout.of(width, tiles, PLACES, channels.widest)
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
        PLACES * sums_place,
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
        kernel=transform("weights_gradient", GRADIENT_TILE),
        tail_kernel=transform("weights_gradient", GRADIENT_TILE, True) if channels.tail else 0,
        vector_bytes=vector,
    )
    transforms = _transform_tiles(x_shape, width, rows, cols, tiles, v, d)
    return _ByBlocks(transforms, multiply, v.bytes + d.bytes + PAD, v.bytes)


def _tile_rows(v: Layout, channels: Channels) -> int:
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
    v = Layout.of(depth, chunk, PLACES, PART_VECTORS, by_place=True)
    d = Layout.of(width, chunk, PLACES, channels.widest, by_place=True)
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
    part_tasks = min(v.parts, -(-tasks // PLACES))
    multiply = Launch(
        WINOGRAD_PRODUCTS,
        ("winograd", "multiply"),
        ("v", "d", "sums", "told", "zeros"),
        PLACES * part_tasks,
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
        sums_place=sums_place,
        sums_depth=sums_row,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
        vectors=every.last_vectors - every.tail,
        tail=every.lanes * every.tail,
        kernel=transform("weights_gradient", GRADIENT_TILE),
        tail_kernel=transform("weights_gradient", GRADIENT_TILE, True) if every.tail else 0,
        vector_bytes=host().vector_bytes,
    )
    transforms = _transform_tiles(x_shape, width, rows, cols, chunk, v, d)
    return _ByChunks(
        transforms, multiply, result, chunk, v.bytes + d.bytes + PAD, v.bytes, PLACES * sums_place, told, zeros
    )
