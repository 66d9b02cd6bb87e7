"""The metrics of a whole model: a list of them for each output, and the same again for weighted ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deepcore import metrics as metrics_module
from deepcore.metrics import Metric
from deepcore.models.outputs import by_place, flat, is_nested, places, shape_of
from deepcore.variable import Variable


class CompileMetrics(Metric):
    """What ``compile(metrics=..., weighted_metrics=...)`` asked for; made when the first batch tells the shapes.

    Args:
        metrics, weighted_metrics: for one output a list of metrics; for many a list or dictionary with a metric or a
            list of metrics for each; by name, as functions or as ``Metric`` objects.
        output_names: gives the names of the outputs, None where they have none.

    Raises ``ValueError`` for anything but a list or a dictionary, and for names that nobody knows.
    """

    def __init__(
        self, metrics: Any, weighted_metrics: Any, output_names: Callable[[], Sequence[str] | None] = lambda: None
    ) -> None:
        self._groups: list[tuple[str | None, bool, list[Metric]]] = []  # name of the output, weighted, its metrics
        super().__init__(name="compile_metrics")
        for argument, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given and not isinstance(given, list | tuple | dict):
                raise ValueError(
                    f"{argument} is a list such as ['accuracy'], or a dictionary by output; got {given!r}."
                )
            for identifier in _identifiers(given):
                metrics_module.check(identifier)
        self.given = {"metrics": metrics, "weighted_metrics": weighted_metrics}
        self.output_names = output_names
        self.built = False

    @property
    def metrics(self) -> list[Metric]:
        """All metrics, the unweighted ones first; none before the first batch."""
        return [metric for _, _, group in self._groups for metric in group]

    @property
    def variables(self) -> list[Variable]:
        """The sums of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    @variables.setter
    def variables(self, none: list[Variable]) -> None:
        """It has no sums of its own."""

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the metrics of each output, once, for targets and predictions of these shapes."""
        if self.built:
            return
        for argument, weighted in (("metrics", False), ("weighted_metrics", True)):
            for name, identifiers, target, prediction in self._chosen(argument, y_true, y_pred):
                if target is None and identifiers:
                    raise ValueError(f"{argument} has {identifiers!r} for an output that has no targets.")
                made = [metrics_module.metric_of(one, target.shape, prediction.shape) for one in identifiers]
                self._groups.append((name, weighted, made))
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch to the metrics of each output."""
        self.build(y_true, y_pred)
        paths, targets = self._by_output(y_true, y_pred)
        predictions = dict(places(y_pred))
        weights: dict[Any, Any] = dict.fromkeys(paths)
        if sample_weight is not None:
            given = flat(sample_weight)
            weights = (
                dict.fromkeys(paths, given[0]) if len(given) < len(paths) else self._weights(sample_weight, y_pred)
            )
        for i, (_, weighted, group) in enumerate(self._groups):
            path = paths[i % len(paths)]
            for metric in group:
                metric.update_state(targets[path], predictions[path], sample_weight=weights[path] if weighted else None)

    def reset_state(self) -> None:
        """Starts all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    def named(self) -> dict[str, Metric]:
        """The metrics by the names that logs have for them, each name once."""
        found: dict[str, Metric] = {}
        for output, weighted, group in self._groups:
            prefix = f"{output}_" if output else ""
            for metric in group:
                names = [f"{prefix}{metric.name}", *([f"{prefix}weighted_{metric.name}"] if weighted else [])]
                name = next((name for name in names if name not in found), None)
                number = 0
                while name is None:
                    number += 1
                    name = f"{names[-1]}_{number}" if f"{names[-1]}_{number}" not in found else None
                found[name] = metric
        return found

    def result(self) -> Any:
        """The numbers so far by name. Raises ``ValueError`` before the first batch."""
        if not self.built:
            raise ValueError("The metrics of compile have no result yet: they are made when the first batch comes.")
        return {name: metric.result() for name, metric in self.named().items()}

    def _chosen(self, argument: str, y_true: Any, y_pred: Any) -> Iterator[tuple[str | None, list[Any], Any, Any]]:
        """For each output its name in logs, its metrics, and its targets and predictions."""
        given = self.given[argument]
        paths, targets = self._by_output(y_true, y_pred)
        predictions = dict(places(y_pred))
        names = self._names(y_pred, len(paths))
        if not given:
            chosen: list[list[Any]] = [[] for _ in paths]
        elif len(paths) == 1:
            chosen = [_identifiers(given)]
        else:
            chosen = self._for_many(argument, given, y_pred, names)
        for path, name, identifiers in zip(paths, names, chosen, strict=True):
            yield (name if len(paths) > 1 else None), identifiers, targets[path], predictions[path]

    def _for_many(self, argument: str, given: Any, y_pred: Any, names: list[str | None]) -> list[list[Any]]:
        if isinstance(given, list | tuple) and len(given) == len(names) and len(y_pred) == len(names):
            return [_identifiers(one) for one in given]
        if isinstance(given, dict) and set(given) <= set(names):
            return [_identifiers(given.get(name)) for name in names]
        try:
            return [_identifiers(one) for one in _down_to(y_pred, given)]
        except (KeyError, IndexError, TypeError):
            raise ValueError(
                f"{argument} needs a metric or a list of metrics for each output: a list or dictionary for the outputs "
                f"{', '.join(str(name) for name in names)}, nested like {shape_of(y_pred)}; got {argument}={given!r}."
            ) from None

    def _names(self, y_pred: Any, count: int) -> list[str | None]:
        if isinstance(y_pred, dict) and len(y_pred) == count:
            return [path[0] for path, _ in places(y_pred)]
        names: list[str | None] = list(self.output_names() or [])
        return names or [None] * count

    def _by_output(self, y_true: Any, y_pred: Any) -> tuple[list[Any], dict[Any, Any]]:
        paths = [path for path, _ in places(y_pred)]
        targets = by_place(y_true, y_pred, self.output_names) or {}
        return paths, {path: targets.get(path) for path in paths}

    def _weights(self, sample_weight: Any, y_pred: Any) -> dict[Any, Any]:
        return by_place(sample_weight, y_pred, self.output_names) or {}


def _identifiers(given: Any) -> list[Any]:
    """The metrics in a structure, in which a configuration is one."""
    if given is None:
        return []
    if is_nested(given) and not (isinstance(given, dict) and "class_name" in given):
        parts = given.values() if isinstance(given, dict) else given
        return [one for part in parts for one in _identifiers(part)]
    return [given]


def _down_to(structure: Any, given: Any) -> list[Any]:
    """The parts of ``given`` at the places of ``structure``; raises ``KeyError`` or ``IndexError`` if it misfits."""
    if isinstance(structure, dict):
        if not isinstance(given, dict) or set(given) != set(structure):
            raise KeyError(given)
        return [part for key in sorted(structure) for part in _down_to(structure[key], given[key])]
    if isinstance(structure, list | tuple):
        if not isinstance(given, list | tuple) or len(given) != len(structure):
            raise IndexError(given)
        return [part for i in range(len(structure)) for part in _down_to(structure[i], given[i])]
    return [given]
