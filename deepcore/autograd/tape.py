"""GradientTape: gradients as scripts for tf.keras ask for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from deepcore.autograd.engine import gradients
from deepcore.autograd.graph import recording
from deepcore.structure import leaves, pack_as
from deepcore.tensor import Tensor

_active: ContextVar[tuple[GradientTape, ...]] = ContextVar("deepcore_tapes", default=())


class GradientTape:
    """Within the block operations are recorded; ``gradient`` differentiates what they computed.

    Trainable variables are watched from the beginning; a tensor is watched once it is given to ``watch``. Where
    ``gradient`` is called within the block of an outer tape, its result can be differentiated again.

    Args:
        persistent: allow more than one call of ``gradient``.
        watch_accessed_variables: accepted as TensorFlow has it, True only: variables are recorded wherever they are
            trainable.

    >>> x = Tensor(3.0)
    >>> with GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        if not watch_accessed_variables:
            raise ValueError(
                "GradientTape records every trainable variable; for watch_accessed_variables=False set "
                "variable.trainable = False on those that are to be left out."
            )
        self.persistent = persistent
        self._used = False
        self._recording: Any = None

    def __enter__(self) -> GradientTape:
        self._recording = recording(True)
        self._recording.__enter__()
        _active.set((*_active.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _active.set(tuple(tape for tape in _active.get() if tape is not self))
        self._recording.__exit__(kind, error, traceback)

    def watch(self, tensor: Any) -> None:
        """Records what is computed from a tensor, or from each of a structure, from now on.

        Raises ``TypeError`` for what is no tensor, ``RuntimeError`` for integers.
        """
        for one in leaves(tensor):
            if not isinstance(one, Tensor):
                raise TypeError(f"watch takes tensors; got {one!r} ({type(one).__name__}).")
            if not one.requires_grad:
                one.requires_grad = True

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Within the block nothing is recorded."""
        with recording(False):
            yield

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """The gradients of the sum of ``target``, a tensor or several, for ``sources``, nested like them.

        Args:
            target: what was computed; of any shape.
            sources: variables and watched tensors.
            output_gradients: for each target the gradient that arrives there, ones by default.
            unconnected_gradients: ``"none"`` for None where a target does not depend on a source, ``"zero"`` for
                zeros.

        Raises ``RuntimeError`` for a second call, unless the tape is persistent.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(f"unconnected_gradients is 'none' or 'zero'; got {unconnected_gradients!r}.")
        if self._used and not self.persistent:
            raise RuntimeError(
                "This tape has given its gradients already. Ask for all of them at once, or make it with "
                "GradientTape(persistent=True)."
            )
        self._used = True
        others = [tape for tape in _active.get() if tape is not self or self.persistent]
        flat = leaves(sources)
        found = self._found(leaves(target), flat, output_gradients, create_graph=bool(others))
        if unconnected_gradients == "zero":
            found = [_zeros(source) if g is None else g for g, source in zip(found, flat, strict=True)]
        return pack_as(sources, found)

    def _found(self, targets: list[Any], sources: list[Any], given: Any, create_graph: bool) -> list[Tensor | None]:
        arriving = [None] * len(targets) if given is None else leaves(given)
        pairs = [
            (target, _ones(target) if gradient is None else gradient)
            for target, gradient in zip(targets, arriving, strict=True)
            if isinstance(target, Tensor) and target.requires_grad
        ]
        reached = [source for source in sources if isinstance(source, Tensor) and source.requires_grad]
        if not pairs or not reached:
            return [None] * len(sources)
        outputs, cotangents = zip(*pairs, strict=True)
        # What is shared with the losses of other tapes must outlive this call; it goes when the losses go.
        answer = gradients(outputs, reached, cotangents, create_graph=create_graph, retain_graph=True, unused=None)
        by_source = {id(source): gradient for source, gradient in zip(reached, answer, strict=True)}
        return [by_source.get(id(source)) for source in sources]

    def reset(self) -> None:
        """Lets ``gradient`` be called again."""
        self._used = False


def _ones(tensor: Tensor) -> Tensor:
    return Tensor.wrap(tensor.device.backend.xp.ones(tensor.shape, tensor.dtype), tensor.device)


def _zeros(tensor: Tensor) -> Tensor:
    return Tensor.wrap(tensor.device.backend.xp.zeros(tensor.shape, tensor.dtype), tensor.device)
