"""The loss of a whole model: one term for each output that has a loss, weighted and added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepcore import losses
from deepcore.metrics import Mean
from deepcore.models.outputs import Path, at, by_place, flat, is_nested, places, shape_of
from deepcore.tensor import Tensor

_CROSSENTROPY = ("crossentropy", "ce")


class _Wanted(NamedTuple):
    """A loss as ``compile`` was given it, and its weight; the leaves of a structure, so no plain tuple."""

    loss: Any
    weight: float | None


class Term(NamedTuple):
    """The loss of one output.

    Attributes:
        path: of the output.
        loss: of it.
        weight: that the loss is multiplied by; None for one.
        name: of the output, in logs.
        tracker: the mean of the unweighted loss; None where there is only one term, which ``loss`` tells already.
    """

    path: Path
    loss: losses.Loss
    weight: float | None
    name: str
    tracker: Mean | None


class CompileLoss:
    """What ``compile(loss=..., loss_weights=...)`` asked for.

    Args:
        loss: a loss for all outputs, or losses nested like them, in a list in their order, or in a dictionary by name;
            None for an output without one.
        loss_weights: a float, or numbers given in the same way.
        output_names: gives the names of the outputs, None where they have none.

    Raises ``ValueError`` for a loss that nobody knows, and for weights that are not floats in such a structure.
    """

    def __init__(
        self, loss: Any, loss_weights: Any = None, output_names: Callable[[], Sequence[str] | None] = lambda: None
    ) -> None:
        if loss_weights and not isinstance(loss_weights, list | tuple | dict | float):
            raise ValueError(
                "loss_weights is a float for a model of one output, or a list or dictionary of numbers for many; got "
                f"loss_weights={loss_weights!r} ({type(loss_weights).__name__})."
            )
        for identifier in _identifiers(loss):
            if not (isinstance(identifier, str) and identifier.lower() in _CROSSENTROPY):
                losses.get(identifier)
        self.loss = _without_configs(loss)
        self.loss_weights, self.output_names = loss_weights, output_names
        self.terms: list[Term] | None = None

    @property
    def metrics(self) -> list[Mean]:
        """The mean loss of each output, where there are several."""
        return [term.tracker for term in self.terms or () if term.tracker is not None]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        """The weighted sum of all terms; None if there is none."""
        if self.terms is None:
            self.build(y_true, y_pred)
        assert self.terms is not None
        targets = self._targets(y_true, y_pred)
        total = None
        for term in self.terms:
            if term.path not in targets:
                raise _other_nesting(y_true, y_pred)
            prediction = at(y_pred, term.path)
            value = term.loss(targets[term.path], prediction, self._weight_of(sample_weight, y_pred, term))
            if term.tracker is not None:
                term.tracker.update_state(value.detach(), sample_weight=float(prediction.shape[0]))
            if term.weight is not None:
                value = value * term.weight
            total = value if total is None else total + value
        return total

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Finds the loss of each output, once; of targets and outputs only the shapes count."""
        if self.terms is not None:
            return
        targets = self._targets(y_true, y_pred)
        wanted = self._placed(y_pred)
        names = _names(y_pred, self.output_names())
        found = []
        for path, (identifier, weight) in wanted:
            if path not in targets:
                raise KeyError(
                    f"There is a loss for the output {path}, but no targets: compile got loss={self.loss!r}."
                )
            loss = _loss(identifier, targets[path], at(y_pred, path))
            found.append((path, loss, weight, _joined(path, names.get(path) or loss.name)))
        many = len(found) > 1
        self.terms = [Term(*each, Mean(name=f"{each[-1]}_loss") if many else None) for each in found]

    def check_targets(self, y: Any, output_shapes: Any) -> None:
        """Raises ``ValueError`` if a loss cannot compare the arrays ``y`` with outputs of these shapes."""
        targets = self._targets(y, output_shapes)
        for path, (identifier, _) in self._placed(output_shapes):
            target, output = targets.get(path), at(output_shapes, path)
            if isinstance(target, np.ndarray):  # what lies on a device is not looked at
                _loss(identifier, target, output).check_targets(target, output.shape)

    def _placed(self, y_pred: Any) -> list[tuple[Path, _Wanted]]:
        """The losses and their weights by the place of the output, in the order in which they were given."""
        loss, weights = self.loss, self.loss_weights
        names = self.output_names()
        if names and isinstance(loss, dict) and not isinstance(y_pred, dict):
            if set(names) != set(loss):
                raise ValueError(f"loss needs the keys {list(names)}, the names of the outputs; got {list(loss)}.")
            loss = [loss[name] for name in names]
            if isinstance(weights, dict):
                missing = [name for name in names if name not in weights]
                if missing:
                    raise KeyError(f"loss_weights has nothing for {', '.join(map(repr, missing))}; got {weights!r}.")
                weights = [weights[name] for name in names]
        identifiers = flat(loss)
        numbers = [None] * len(identifiers) if weights is None else flat(weights)
        if len(numbers) != len(identifiers):
            raise ValueError(
                f"loss_weights must match the losses: there are {len(identifiers)} losses and {len(numbers)} weights "
                f"(loss_weights={self.loss_weights!r})."
            )
        pairs = [_Wanted(*pair) for pair in zip(identifiers, numbers, strict=True)]
        if not is_nested(loss):
            found = [(path, pairs[0]) for path, _ in places(y_pred)]
        else:
            values = dict(zip((path for path, _ in places(loss)), pairs, strict=True))
            found = list(self._matched(loss, y_pred, (), (), values))
        return [(path, one) for path, one in found if one.loss is not None]

    def _matched(self, loss: Any, y_pred: Any, place: Path, path: Path, values: dict[Path, _Wanted]) -> Any:
        """Pairs of the place of an output and the loss for it."""
        if not is_nested(loss):
            yield from ((where, values[place]) for where, _ in places(y_pred, path))
            return
        flat_loss = not isinstance(loss, dict) and not any(is_nested(part) for part in loss)
        outputs = [where for where, _ in places(y_pred, path)]
        if not isinstance(loss, dict) and len(loss) == len(outputs) == 1:
            yield from self._matched(loss[0], y_pred, (*place, 0), path, values)
            return
        if flat_loss and len(loss) == len(outputs):
            for i, where in enumerate(outputs):
                spot = (*place, i)
                yield where, values[spot]
            return
        alike = isinstance(loss, dict) == isinstance(y_pred, dict) and is_nested(y_pred)
        if not alike and not isinstance(loss, dict):
            raise ValueError(
                f"loss has {len(loss)} entries for {len(outputs)} output{'s' * (len(outputs) != 1)}; give one for "
                f"each output, or add losses of one output in a function of your own. Got loss={self.loss!r}."
            )
        keys = list(loss) if isinstance(loss, dict) else range(len(loss))
        for key in keys:
            if loss[key] is None:
                continue
            if not alike or (key not in y_pred if isinstance(y_pred, dict) else key >= len(y_pred)):
                raise KeyError(
                    f"loss names the output {(*path, key)}, which the model does not have: its outputs are "
                    f"{shape_of(y_pred)}, and compile got loss={self.loss!r}."
                )
            yield from self._matched(loss[key], y_pred[key], (*place, key), (*path, key), values)

    def _targets(self, y_true: Any, y_pred: Any) -> dict[Path, Any]:
        """The targets by the place of the output."""
        some = None
        if is_nested(self.loss):
            entries = flat(self.loss)
            paths = [path for path, _ in places(y_pred)]
            if len(entries) == len(paths):
                some = [path for path, entry in zip(paths, entries, strict=True) if entry is not None]
        found = by_place(y_true, y_pred, self.output_names, some)
        if found is None:
            raise _other_nesting(y_true, y_pred)
        return found

    def _weight_of(self, sample_weight: Any, y_pred: Any, term: Term) -> Any:
        if not is_nested(sample_weight):
            return sample_weight
        found = by_place(sample_weight, y_pred, self.output_names)
        if found is None:
            raise ValueError(
                f"sample_weight is one array for all outputs, or nested like them, {shape_of(y_pred)}; got "
                f"{shape_of(sample_weight)}."
            )
        return found.get(term.path)


class OutputShape:
    """The shape of an output where a structure of shapes must not be taken for one of lists."""

    def __init__(self, sizes: Sequence[int | None]) -> None:
        self.shape = tuple(sizes)


def _other_nesting(y_true: Any, y_pred: Any) -> ValueError:
    return ValueError(
        f"The targets are nested otherwise than the model's outputs: y is {shape_of(y_true)}, the outputs are "
        f"{shape_of(y_pred)}."
    )


def _identifiers(loss: Any) -> list[Any]:
    """The losses in a structure, in which a configuration is one."""
    if isinstance(loss, dict) and "class_name" in loss:
        return [loss]
    parts = list(loss.values()) if isinstance(loss, dict) else loss if isinstance(loss, list | tuple) else None
    return [loss] if parts is None else [one for part in parts for one in _identifiers(part)]


def _without_configs(loss: Any) -> Any:
    """The same structure with the losses that configurations stand for: dictionaries, as structures are."""
    if isinstance(loss, dict):
        return losses.get(loss) if "class_name" in loss else {key: _without_configs(part) for key, part in loss.items()}
    return [_without_configs(part) for part in loss] if isinstance(loss, list | tuple) else loss


def _loss(identifier: Any, y_true: Any, y_pred: Any) -> losses.Loss:
    if isinstance(identifier, str) and identifier.lower() in _CROSSENTROPY:
        if y_pred.shape[-1] == 1:
            identifier = "binary_crossentropy"
        elif len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
            identifier = "sparse_categorical_crossentropy"
        else:
            identifier = "categorical_crossentropy"
    loss = losses.loss_of(identifier)
    if isinstance(identifier, str) and isinstance(loss, losses.LossFunction):
        loss.name = identifier
    return loss


def _names(y_pred: Any, names: Sequence[str] | None) -> dict[Path, str]:
    paths = [path for path, _ in places(y_pred)]
    return dict(zip(paths, names, strict=True)) if names and len(names) == len(paths) else {}


def _joined(path: Path, name: str) -> str:
    """The name of an output in logs: its key, or its own name where it is one of a list.

    >>> _joined((), "dense"), _joined((0,), "dense"), _joined(("a",), "dense"), _joined(("a", 1), "dense")
    ('dense', 'dense', 'a', 'a/dense')
    """
    parts = (*path[:-1], name) if not path or isinstance(path[-1], int) else path
    return "/".join(map(str, parts))
