"""Sequences cut into steps and joined again, and the gates of recurrent cells in one pass each.

A step of a recurrent layer is one product and one of these passes. Their gradients are formulas that run both on
arrays, as one recorded operation, and on tensors, where a second derivative is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from deepcore.autograd.engine import vjp
from deepcore.autograd.primitive import primitive
from deepcore.ops.activation import tanh
from deepcore.ops.elementwise import where
from deepcore.ops.shape import concatenate
from deepcore.tensor import Tensor

_MATH = SimpleNamespace(tanh=tanh, concatenate=concatenate)  # what the formulas use, as a backend's ``xp`` has it


@primitive(outputs=("*ys",))
def _unstack(backend: Any, x: Any, *, axis: int) -> Any:
    by_step = backend.xp.moveaxis(x, axis, 0)
    return tuple(by_step[i] for i in range(x.shape[axis]))


@_unstack.gradient("x")
def _(dys: tuple[Tensor, ...], axis: int) -> Tensor:
    return _stack(*dys, axis=axis)


@primitive
def _stack(backend: Any, *xs: Any, axis: int) -> Any:
    return backend.xp.stack(xs, axis)


@_stack.gradient("xs")
def _(dy: Tensor, axis: int) -> tuple[Tensor, ...]:
    return _unstack(dy, axis=axis)


def steps_of(x: Tensor, axis: int = 0) -> tuple[Tensor, ...]:
    """``x[0]``, ``x[1]``, ... along ``axis``: views, whose gradients are joined once rather than scattered one by one.

    >>> [step.tolist() for step in steps_of(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return _unstack(x, axis=axis)


def joined_steps(steps: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new ``axis``; undoes ``steps_of``."""
    joined: Tensor = _stack(*steps, axis=axis)
    return joined


def held(running: Tensor, new: Tensor, old: Tensor | None) -> Tensor:
    """``new`` in the rows of the batch that are ``running``, [batch, 1]; in the others ``old``, zeros if None."""
    running = Tensor.wrap(running.data.reshape(-1, *(1,) * (new.ndim - 1)), running.device)
    return where(running, new, 0 if old is None else old)


def _parts(gates: Any, count: int) -> list[Any]:
    size = gates.shape[-1] // count
    return [gates[..., i * size : (i + 1) * size] for i in range(count)]


# Long short-term memory. Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.


@primitive(outputs=("h", "c", "gates"))
def _lstm_step(backend: Any, x: Any, r: Any, c0: Any) -> Any:
    z = x + r
    gates = backend.bias_activation(z, None, "sigmoid")
    i, f, g, o = _parts(gates, 4)
    g[...] = backend.xp.tanh(_parts(z, 4)[2])
    c = f * c0 + i * g
    return o * backend.xp.tanh(c), c, gates


@_lstm_step.gradient("x", "r", "c0")
def _(
    gates: Tensor, c: Tensor, c0: Tensor, dh: Tensor, dc: Tensor, dgates: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    dz, dc0 = _lstm_step_dgrad(dh, dc, gates, c, c0, dgates)
    return dz, dz, dc0


@primitive(outputs=("dz", "dc0"))
def _lstm_step_dgrad(backend: Any, dh: Any, dc: Any, gates: Any, c: Any, c0: Any, dgates: Any) -> Any:
    return _lstm_gradient(backend.xp, dh, dc, gates, c, c0, dgates)


@_lstm_step_dgrad.gradient("dh", "dc", "gates", "c", "c0", "dgates")
def _(
    ddz: Tensor, ddc0: Tensor, dh: Tensor, dc: Tensor, gates: Tensor, c: Tensor, c0: Tensor, dgates: Tensor | None
) -> tuple[Tensor | None, ...]:
    return _second_order(_lstm_gradient, (dh, dc, gates, c, c0, dgates), (ddz, ddc0))


def _lstm_gradient(math: Any, dh: Any, dc: Any, gates: Any, c: Any, c0: Any, dgates: Any = None) -> tuple[Any, Any]:
    """Gradients before the gates' activations, and of the carry before the step."""
    i, f, g, o = _parts(gates, 4)
    y = math.tanh(c)
    dc = dc + dh * o * (1 - y * y)
    di, df, dg, do = dc * g, dc * c0, dc * i, dh * y
    if dgates is not None:  # the gates themselves are read where the gradient is differentiated
        di, df, dg, do = (a + b for a, b in zip((di, df, dg, do), _parts(dgates, 4), strict=True))
    dz = [di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)]
    return math.concatenate(dz, -1), dc * f


def _second_order(
    formula: Any, inputs: tuple[Tensor | None, ...], cotangents: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    """The gradients of ``formula``, whose last input may be None."""
    given = [tensor for tensor in inputs if tensor is not None]
    found = vjp(lambda *points: formula(_MATH, *points), given, cotangents)
    return (*found, *(None,) * (len(inputs) - len(given)))


def lstm_step(x: Tensor, r: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: with i, f, o = sigmoid(x + r) and g = tanh(x + r), c' = f c + i g and h = o tanh(c').

    Args:
        x, r: what the input and the state before contribute, [batch, 4 units] in the order i, f, g, o.
        c: the carry before, [batch, units].

    Returns h and c'.
    """
    _check_step("lstm_step", x, r, c, 4)
    h, carry, _ = _lstm_step(x, r, c)
    return h, carry


# Gated recurrent unit, whose reset gate acts on the product: Cho et al. 2014, version 1; cuDNN's.


@primitive(outputs=("h", "gates"))
def _gru_step(backend: Any, x: Any, r: Any, h0: Any) -> Any:
    gates = backend.bias_activation(x + r, None, "sigmoid")
    z, s, n = _parts(gates, 3)
    n[...] = backend.xp.tanh(_parts(x, 3)[2] + s * _parts(r, 3)[2])
    return n + z * (h0 - n), gates


@_gru_step.gradient("x", "r", "h0")
def _(gates: Tensor, r: Tensor, h0: Tensor, dh: Tensor, dgates: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    return _gru_step_dgrad(dh, gates, r, h0, dgates)


@primitive(outputs=("dx", "dr", "dh0"))
def _gru_step_dgrad(backend: Any, dh: Any, gates: Any, r: Any, h0: Any, dgates: Any) -> Any:
    return _gru_gradient(backend.xp, dh, gates, r, h0, dgates)


@_gru_step_dgrad.gradient("dh", "gates", "r", "h0", "dgates")
def _(
    ddx: Tensor, ddr: Tensor, ddh0: Tensor, dh: Tensor, gates: Tensor, r: Tensor, h0: Tensor, dgates: Tensor | None
) -> tuple[Tensor | None, ...]:
    return _second_order(_gru_gradient, (dh, gates, r, h0, dgates), (ddx, ddr, ddh0))


def _gru_gradient(math: Any, dh: Any, gates: Any, r: Any, h0: Any, dgates: Any = None) -> tuple[Any, Any, Any]:
    """Gradients of what input and state contribute, and of the state before the step."""
    z, s, n = _parts(gates, 3)
    dz, dn = dh * (h0 - n), dh * (1 - z)
    extra = (0, 0, 0) if dgates is None else _parts(dgates, 3)
    dn = (dn + extra[2]) * (1 - n * n)
    dz = (dz + extra[0]) * z * (1 - z)
    ds = (dn * _parts(r, 3)[2] + extra[1]) * s * (1 - s)
    return math.concatenate([dz, ds, dn], -1), math.concatenate([dz, ds, dn * s], -1), dh * z


def gru_step(x: Tensor, r: Tensor, h: Tensor) -> Tensor:
    """One step of a GRU: with z, s = sigmoid(x + r) and n = tanh(x + s r), h' = z h + (1 - z) n.

    Args:
        x, r: what the input and the state before contribute, [batch, 3 units] in the order z, s, n.
        h: the state before, [batch, units].
    """
    _check_step("gru_step", x, r, h, 3)
    new: Tensor = _gru_step(x, r, h)[0]
    return new


def _check_step(op: str, x: Tensor, r: Tensor, state: Tensor, gates: int) -> None:
    batch = x.shape[0]
    if x.shape != r.shape or state.shape != (batch, x.shape[-1] // gates):
        raise ValueError(
            f"{op}: {gates} gates of shape {x.shape} from the input need a state of shape "
            f"{(batch, x.shape[-1] // gates)}; got {state.shape}, and {r.shape} from the state before."
        )
