"""Convolution 3 x 3 of stride 1 by Winograd's minimal filtering: plans for the tasks of ``kernels/cpu``.

That is the output, and the gradient at the input; that at the weights is in ``winograd_gradient``. float32 only, one
group, no dilation. Every tile of m x m outputs has (m + 2)^2 places, for each of which there is one matrix product of
all tiles with the transformed weights.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.packed import packed
from deepcore.backend.numpy.plans import CLAMPS, PLANS, streams, tasks_wanted
from deepcore.backend.numpy.window import Axis
from deepcore.backend.numpy.winograd_tiles import PAD, STEP, TAPS, Layout, image, places_of, products, tiles_of
from deepcore.kernels.cpu import panel, scratch
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.place import Strides
from deepcore.kernels.cpu.record import WINOGRAD, WINOGRAD_WEIGHTS, address
from deepcore.kernels.cpu.tile import most_rows
from deepcore.kernels.cpu.transform import transform
from deepcore.kernels.cpu.transpose import transpose

FEW_PLACES = 64 * 36  # of all tiles, up to which weights are transformed part by part
PART_BYTES = 600_000  # transformed weights that are made and used at once, while they are in the second-level cache
BLOCK_PLACES = 96 * 36  # of a block of tiles: fewer read all weights more often, of more the sums leave the cache
BLOCK_BYTES = 450_000  # of a block's tiles and sums, where the weights stay in the second-level cache beside them
LEAST_TILES = 20  # of such a block, unless it has all weights: fewer read them too often, a part after the other
OWN_TILES = 48  # of a block at least, where there are more of them so that every task has its own
KEPT_BYTES = 10 << 20  # of all transformed weights, up to which they are kept with the weights that they are made of


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
    # The taps of a channel often meet in one set of a cache. Before a line that several vectors read is read to its end
    # it would be gone, had it not been copied to where it stays.
    copies = not across and host().is_narrow
    return {
        "w_row": strides[0],
        "w_tap": strides[1],
        "w_depth": strides[2],
        "w_width": strides[3],
        "weights": transform("weights", m),
        "weights_tail": transform("weights", m, True) if channels.tail else 0,
        "transpose": transpose() if across else 0,
        "transpose_tail": transpose(True) if across else 0,
        "wide_copy": panel.copy(channels.vectors, False) if copies and channels.wide else 0,
        "last_copy": panel.copy(channels.last_vectors, channels.tail) if copies and channels.last_vectors else 0,
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
    """Of weights while they are transposed, or copied, of which a task has whole vectors."""
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


# the output


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
    # A transform writes one vector of all pixels before the next: where that is a part of a line, it stays in a cache.
    streamed = host().vector_bytes % LINE == 0 and streams(out)
    plan = _convolution(x.shape, width, w.strides, rows, cols, m, clamped, streamed, tasks_wanted())
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
        blocks = -(-tiles // _block(places, depth, channels, highest))
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


def _block(places: int, depth: int, channels: Channels, highest: int) -> int:
    """Tiles that are transformed, multiplied and transformed back together: whole register tiles of them."""
    most, widest = BLOCK_PLACES // places, channels.widest * host().vector_bytes
    if places * depth * widest <= PART_BYTES:
        v_tile = -(-depth // host().lanes) * host().vector_bytes
        beside = BLOCK_BYTES // (places * (v_tile + widest))
        if beside >= LEAST_TILES or channels.blocks == 1:
            most = min(most, beside)
    return max(1, most // highest) * highest
