"""The rules of the optimizers: what each takes, and what the host computes of it once for all parameters.

Every backend offers the functions of ``RULES``, each of which changes all parameters in place by one call; the formulas
are Keras 3's. The functions here have their signatures and say what a backend is to do: lists of arrays, and scalars.
In each list the arrays of one place have the shape and dtype of the parameter there. Arrays must be C-contiguous.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Arrays = Sequence[Any]


@dataclass(frozen=True)
class Before:
    """What happens to parameters and gradients on the way into the rule, in the same pass over them.

    Attributes:
        decay: for each parameter the share of itself that it loses (Loshchilov and Hutter 2019); none by default.
        factor: what all gradients are multiplied by.
        scale: an array of one number, where the parameters are: what the gradients are multiplied by, too.
        limit: the largest magnitude of a gradient's elements, after that; NaN stays NaN.
    """

    decay: Sequence[float] | None = None
    factor: float = 1.0
    scale: Any = None
    limit: float = math.inf


NOTHING = Before()


class Step(NamedTuple):
    """What a rule works on.

    Attributes:
        lists: lists of arrays by name: parameters, gradients, and states; None for a state that the variant asked for
            does without.
        scalars: the numbers of the rule, in the order in which loops and kernels take them; a bool chooses a variant.
    """

    lists: Mapping[str, Arrays | None]
    scalars: tuple[float, ...]


class Group(NamedTuple):
    """A parameter with what belongs to it: its arrays, None where a list is None, and its decay."""

    arrays: tuple[Any, ...]
    decay: float


class Work(NamedTuple):
    """What an implementation of a rule is given."""

    groups: list[Group]
    scalars: tuple[float, ...]
    before: Before

    @property
    def size(self) -> int:
        """How many elements all parameters have."""
        return sum([arrays[0].size for arrays, _ in self.groups])

    def cast(self, dtype: Any) -> list[Any]:
        """The scalars in the dtype of the arrays, so that float32 stays float32."""
        return [scalar if isinstance(scalar, bool) else dtype.type(scalar) for scalar in self.scalars]


def sgd_update(parameters: Arrays, gradients: Arrays, learning_rate: float) -> Step:
    """``p -= learning_rate * g`` for every parameter (Robbins and Monro 1951)."""
    return Step({"parameters": parameters, "gradients": gradients}, (learning_rate,))


def momentum_update(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> Step:
    """``v = momentum * v - learning_rate * g``, then ``p += v``; with ``nesterov``,
    ``p += momentum * v - learning_rate * g`` (Sutskever et al. 2013)."""
    lists = {"parameters": parameters, "gradients": gradients, "velocities": velocities}
    return Step(lists, (learning_rate, momentum, bool(nesterov)))


def adagrad_update(
    parameters: Arrays, gradients: Arrays, accumulators: Arrays, learning_rate: float, epsilon: float
) -> Step:
    """``a += g**2``, then ``p -= learning_rate * g / sqrt(a + epsilon)`` (Duchi, Hazan and Singer 2011)."""
    lists = {"parameters": parameters, "gradients": gradients, "accumulators": accumulators}
    return Step(lists, (learning_rate, epsilon))


def rmsprop_update(
    parameters: Arrays,
    gradients: Arrays,
    mean_squares: Arrays,
    mean_gradients: Arrays | None,
    momenta: Arrays | None,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> Step:
    """RMSprop (Tieleman and Hinton 2012): ``s = rho * s + (1 - rho) * g**2`` and
    ``step = learning_rate * g / sqrt(s + epsilon)``, then ``p -= step``.

    With ``mean_gradients`` (centered), ``a = rho * a + (1 - rho) * g`` and the root is of ``s - a**2 + epsilon``. With
    ``momenta``, ``m = momentum * m + step`` and ``p -= m``.
    """
    lists = {"parameters": parameters, "gradients": gradients, "mean_squares": mean_squares}
    return Step(
        {**lists, "mean_gradients": mean_gradients, "momenta": momenta},
        (learning_rate, rho, 1 - rho, momentum, epsilon),
    )


def adadelta_update(
    parameters: Arrays,
    gradients: Arrays,
    mean_squares: Arrays,
    mean_changes: Arrays,
    learning_rate: float,
    rho: float,
    epsilon: float,
) -> Step:
    """Adadelta (Zeiler 2012): ``s = rho * s + (1 - rho) * g**2``, ``step = g * sqrt((d + epsilon) / (s + epsilon))``,
    ``d = rho * d + (1 - rho) * step**2`` and ``p -= learning_rate * step``."""
    lists = {"parameters": parameters, "gradients": gradients, "mean_squares": mean_squares}
    return Step({**lists, "mean_changes": mean_changes}, (learning_rate, rho, 1 - rho, epsilon))


def adam_update(
    parameters: Arrays,
    gradients: Arrays,
    first_moments: Arrays,
    second_moments: Arrays,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    largest_moments: Arrays | None = None,
) -> Step:
    """Adam (Kingma and Ba 2015): ``m += (1 - beta_1) * (g - m)``, ``v += (1 - beta_2) * (g**2 - v)`` and
    ``p -= alpha * m / (sqrt(v) + epsilon)``, where
    ``alpha = learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step)``.

    With ``largest_moments`` (AMSGrad, Reddi et al. 2018), ``l = max(l, v)`` and the root is of ``l``.

    Args:
        step: 1 in the first call.
    """
    _counted("adam_update", step)
    alpha = learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    lists = {"parameters": parameters, "gradients": gradients, "first_moments": first_moments}
    return Step(
        {**lists, "second_moments": second_moments, "largest_moments": largest_moments},
        (alpha, 1 - beta_1, 1 - beta_2, epsilon),
    )


def adamax_update(
    parameters: Arrays,
    gradients: Arrays,
    first_moments: Arrays,
    norms: Arrays,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
) -> Step:
    """Adamax (Kingma and Ba 2015, section 7): ``m += (1 - beta_1) * (g - m)``, ``u = max(beta_2 * u, |g|)`` and
    ``p -= learning_rate / (1 - beta_1**step) * m / (u + epsilon)``.

    Args:
        step: 1 in the first call.
    """
    _counted("adamax_update", step)
    lists = {"parameters": parameters, "gradients": gradients, "first_moments": first_moments, "norms": norms}
    return Step(lists, (learning_rate / (1 - beta_1**step), 1 - beta_1, beta_2, epsilon))


def nadam_factor(beta_1: float, step: int) -> float:
    """The factor of Nadam's momentum in a step: ``beta_1 * (1 - 0.96**step / 2)`` (Dozat 2016)."""
    return beta_1 * (1 - 0.5 * 0.96**step)


def nadam_update(
    parameters: Arrays,
    gradients: Arrays,
    first_moments: Arrays,
    second_moments: Arrays,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    product: float,
) -> Step:
    """Nadam (Dozat 2016): the moments of Adam and
    ``p -= learning_rate * (ahead * m + now * g) / (sqrt(v / (1 - beta_2**step)) + epsilon)``.

    With f, the ``nadam_factor`` of a step: ``now = (1 - f[step]) / (1 - product)`` and
    ``ahead = f[step + 1] / (1 - product * f[step + 1])``.

    Args:
        step: 1 in the first call.
        product: of the factors of all steps up to this one.
    """
    _counted("nadam_update", step)
    following = nadam_factor(beta_1, step + 1)
    ahead = learning_rate * following / (1 - product * following)
    now = learning_rate * (1 - nadam_factor(beta_1, step)) / (1 - product)
    lists = {"parameters": parameters, "gradients": gradients, "first_moments": first_moments}
    return Step(
        {**lists, "second_moments": second_moments},
        (ahead, now, 1 - beta_1, 1 - beta_2, 1 / (1 - beta_2**step), epsilon),
    )


def lion_update(
    parameters: Arrays,
    gradients: Arrays,
    first_moments: Arrays,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
) -> Step:
    """Lion (Chen et al. 2023): ``p -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, then
    ``m = beta_2 * m + (1 - beta_2) * g``."""
    lists = {"parameters": parameters, "gradients": gradients, "first_moments": first_moments}
    return Step(lists, (learning_rate, beta_1, 1 - beta_1, beta_2, 1 - beta_2))


def ftrl_update(
    parameters: Arrays,
    gradients: Arrays,
    accumulators: Arrays,
    linears: Arrays,
    learning_rate: float,
    power: float,
    l1: float,
    l2: float,
    shrinkage: float,
    beta: float,
) -> Step:
    """FTRL-Proximal (McMahan et al. 2013): with ``n = a + g**2`` and ``r(x) = x**-power / learning_rate``,
    ``z += g + 2 * shrinkage * p - (r(n) - r(a)) * p``, ``a = n`` and
    ``p = (clip(z, -l1, l1) - z) / (r(n) + 2 * l2 + beta / learning_rate)``."""
    lists = {"parameters": parameters, "gradients": gradients, "accumulators": accumulators, "linears": linears}
    return Step(lists, (learning_rate, -power, l1, 2 * l2, 2 * shrinkage, beta))


def blend_update(parameters: Arrays, values: Arrays, keep: float, share: float) -> Step:
    """``p = keep * p + share * value``: moving averages and sums of arrays."""
    return Step({"parameters": parameters, "values": values}, (keep, share))


RULES: tuple[Callable[..., Step], ...] = (
    adadelta_update,
    adagrad_update,
    adam_update,
    adamax_update,
    blend_update,
    ftrl_update,
    lion_update,
    momentum_update,
    nadam_update,
    rmsprop_update,
    sgd_update,
)


def offered(perform: Callable[[str, list[Group], Step, Before], None]) -> dict[str, Callable[..., None]]:
    """The functions of a backend, by name: those of ``RULES``, which ``perform`` does, with ``before`` as the last
    argument. They raise ``ValueError`` if an array is not C-contiguous, or shapes or dtypes in one place differ."""
    return {rule.__name__: _offer(rule, perform) for rule in RULES}


def _offer(rule: Callable[..., Step], perform: Callable[[str, list[Group], Step, Before], None]) -> Callable[..., None]:
    @functools.wraps(rule)
    def function(*args: Any, before: Before = NOTHING, **kwargs: Any) -> None:
        step = rule(*args, **kwargs)
        perform(rule.__name__, _groups(rule.__name__, step.lists, before), step, before)

    signature = inspect.signature(rule)
    last = inspect.Parameter("before", inspect.Parameter.KEYWORD_ONLY, default=NOTHING, annotation=Before)
    function.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), last], return_annotation=None
    )
    return function


def _groups(op: str, lists: Mapping[str, Arrays | None], before: Before) -> list[Group]:
    groups = matched_arrays(op, lists)
    return list(map(Group, groups, before.decay or [0.0] * len(groups)))


def matched_arrays(op: str, lists: Mapping[str, Arrays | None]) -> list[tuple[Any, ...]]:
    """What an update works on: for every place in the lists a tuple of one array from each, None from a list of None.

    Args:
        op: name of the update, for messages.
        lists: lists of arrays by name, the parameters first; equally long, or None.

    Raises:
        ValueError: lists of different lengths, shapes or dtypes that differ within a place, or an array that is not
            C-contiguous.
    """
    (first, parameters), *rest = lists.items()
    count = len(parameters or ())
    for name, arrays in rest:
        if arrays is not None and len(arrays) != count:
            raise ValueError(f"{op}: {count} {first} but {len(arrays)} {name}; one for each.")
    groups = list(zip(*[[None] * count if arrays is None else arrays for arrays in lists.values()], strict=True))
    for place, group in enumerate(groups):
        shape, dtype = group[0].shape, group[0].dtype
        for array in group:
            if array is None:
                continue
            if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                raise _misfit(op, tuple(lists), place, group)
    return groups


def _misfit(op: str, names: tuple[str, ...], place: int, group: tuple[Any, ...]) -> ValueError:
    """The error for the first array of a place that does not match, or is not C-contiguous."""
    shape, dtype = group[0].shape, group[0].dtype
    for name, array in zip(names, group, strict=True):
        if array is None:
            continue
        if array.shape != shape or array.dtype != dtype:
            return ValueError(
                f"{op}: {name}[{place}] is {array.dtype} {array.shape}, but {names[0]}[{place}] is "
                f"{dtype} {shape}; they must agree."
            )
        if not array.flags.c_contiguous:
            break
    return ValueError(
        f"{op}: {name}[{place}] of shape {array.shape} and strides {array.strides} is not C-contiguous; "
        "updates are in place, so pass numpy.ascontiguousarray of it and keep that array."
    )


def _counted(op: str, step: int) -> None:
    if step < 1:
        raise ValueError(f"{op}: step counts from 1; got {step}.")
