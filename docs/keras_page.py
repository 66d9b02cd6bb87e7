"""Writes docs/keras.md: what deepcore has of Keras 3.15's public names. Run: python docs/keras_page.py

``keras_names.json`` holds the names of each module, ``keras_members.json`` those of the methods and attributes of its
main classes, ``keras_arguments.json`` the arguments of its classes, functions and methods, as Python writes them; a
default that is no plain value is written ``...`` there.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import deepcore

FOLDER = Path(__file__).parent
HEAD = """# Keras's names in deepcore

The public names of Keras 3.15, module by module, and whether deepcore has each; then the methods and attributes of its
main classes, and the arguments that are missing. A name that is not here fails where a script uses it, in words that
say the name and the nearest thing there is. Written by `python docs/keras_page.py`; a test holds it to the library.
"""


def _model(library: Any) -> Any:
    model = library.Sequential([library.layers.Input((2,)), library.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


# How to make one of each main class; what a script finds on it.
EXAMPLES: dict[str, Callable[[Any], Any]] = {
    "Layer": lambda library: library.layers.Layer(),
    "Model": lambda library: library.models.clone_model(library.Model(*[library.layers.Input((2,))] * 2)),
    "Sequential": _model,
    "Loss": lambda library: library.losses.MeanSquaredError(),
    "Metric": lambda library: library.metrics.Mean(),
    "Optimizer": lambda library: library.optimizers.SGD(),
    "Variable": lambda library: library.Variable([1.0]),
    "KerasTensor": lambda library: library.layers.Input((2,)),
    "callbacks.Callback": lambda library: library.callbacks.Callback(),
    "callbacks.CallbackList": lambda library: library.callbacks.CallbackList([]),
    "constraints.Constraint": lambda library: library.constraints.NonNeg(),
    "dtype_policies.DTypePolicy": lambda library: library.dtype_policies.DTypePolicy("float32"),
    "initializers.Initializer": lambda library: library.initializers.Zeros(),
    "layers.InputSpec": lambda library: library.layers.InputSpec(ndim=2),
    "layers.RNN": lambda library: library.layers.RNN(library.layers.SimpleRNNCell(2)),
    "layers.Wrapper": lambda library: library.layers.Wrapper(library.layers.Dense(1)),
    "optimizers.schedules.LearningRateSchedule": lambda library: library.optimizers.schedules.ExponentialDecay(1, 1, 1),
    "random.SeedGenerator": lambda library: library.random.SeedGenerator(1),
    "regularizers.Regularizer": lambda library: library.regularizers.L2(),
    "utils.Progbar": lambda library: library.utils.Progbar(1),
    "utils.PyDataset": lambda library: library.utils.PyDataset(),
}


@functools.cache
def read(name: str) -> dict[str, Any]:
    """What ``keras_<name>.json`` holds."""
    content: dict[str, Any] = json.loads((FOLDER / f"keras_{name}.json").read_text())
    return content


def found(path: str) -> Any:
    """What a dotted path leads to from ``deepcore``; None if deepcore has no such thing."""
    thing: Any = deepcore
    for name in path.split("."):
        thing = getattr(thing, name, None)
        if thing is None:
            return None
    return None if isinstance(thing, ModuleType) and not callable(thing) else thing


def has_member(thing: Any, name: str) -> bool:
    """Whether ``thing`` has an attribute of that name, be it one that cannot be read now."""
    try:
        return hasattr(thing, name) or hasattr(type(thing), name)
    except (TypeError, ValueError, NotImplementedError):
        return True


def arguments_of(text: str) -> dict[str, tuple[str, Any]]:
    """Names of arguments, each with its kind and its default as Python writes it; None where it has none.

    >>> arguments_of("x, /, axis=-1, *, y=None, **kwargs")
    {'x': ('/', None), 'axis': ('', '-1'), 'y': ('*', 'None')}
    """
    spec = ast.parse(f"def f({text}): pass").body[0].args  # type: ignore[attr-defined]
    positional = [*((each, "/") for each in spec.posonlyargs), *((each, "") for each in spec.args)]
    defaults = [None] * (len(positional) - len(spec.defaults)) + [ast.unparse(each) for each in spec.defaults]
    named = {each.arg: (kind, default) for (each, kind), default in zip(positional, defaults, strict=True)}
    for each, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        named[each.arg] = ("*", None if default is None else ast.unparse(default))
    return named


def signature_text(thing: Any) -> str:
    """The arguments of a class, function or method, as Python writes them; ``self`` is left out."""
    parameters = list(inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters.values())
    parts: list[str] = []
    kinds = inspect.Parameter
    for i, parameter in enumerate(parameters):
        if i == 0 and parameter.name == "self":
            continue
        if parameter.kind is kinds.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        stars = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is kinds.empty else f"={_literal(parameter.default)}"
        parts.append(f"{stars}{parameter.name}{default}")
        following = parameters[i + 1].kind if i + 1 < len(parameters) else None
        if parameter.kind is kinds.POSITIONAL_ONLY and following is not kinds.POSITIONAL_ONLY:
            parts.append("/")
    return ", ".join(parts)


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | str | type(None)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if abs(value) < 1e300 else "..."
    if isinstance(value, tuple) and all(_literal(each) != "..." for each in value):
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return "..."


def missing_arguments(path: str) -> list[str]:
    """The arguments that Keras's callable at ``path`` takes by name, and deepcore's does not."""
    thing = found(path)
    own = _arguments_here(thing)
    if "**" in signature_text(thing) and not inspect.isclass(thing):
        return []
    return [name for name in arguments_of(read("arguments")[path]) if name not in own]


def _arguments_here(thing: Any) -> dict[str, tuple[str, Any]]:
    """The arguments of a callable; of a class that hands others on, those of its bases, too."""
    own = arguments_of(signature_text(thing))
    if inspect.isclass(thing) and "**" in signature_text(thing):
        for base in thing.__mro__[1:]:
            if "__init__" in vars(base) and base is not object:
                own = {**arguments_of(signature_text(base)), **own}
    return own


def other_places(path: str) -> list[str]:
    """The arguments that may be given without their name in Keras, and stand at another place here."""
    own, keras = (
        [name for name, (kind, _) in arguments.items() if kind != "*"]
        for arguments in (arguments_of(signature_text(found(path))), arguments_of(read("arguments")[path]))
    )
    if "*" in signature_text(found(path)).replace("**", ""):
        return []
    return [name for i, name in enumerate(keras) if name in own[i + 1 :] or name in own[:i]]


def other_defaults(path: str) -> list[str]:
    """The arguments that have another default than in Keras, where both are plain values."""
    own, keras = _arguments_here(found(path)), arguments_of(read("arguments")[path])
    return [
        f"{name}={own[name][1]} ({keras[name][1]})"
        for name in keras
        if name in own and not _same_default(own[name][1], keras[name][1])
    ]


def _same_default(a: str | None, b: str | None) -> bool:
    """Whether our default means that of Keras: a number for both sides of a window is a pair of it. None is none."""
    if b is None or a == b or "..." in (a, b):
        return True
    if a is None:
        return False
    x, y = ast.literal_eval(a), ast.literal_eval(b)
    return x == y or y == (x, x) or str(x).lower() == str(y).lower()


def comparable() -> list[str]:
    """Paths of what is called, in Keras and here."""
    paths = []
    for path in read("arguments"):
        thing = found(path)
        if callable(thing) and not (inspect.isclass(thing) and thing.__init__ is object.__init__):
            paths.append(path)
    return paths


def _listed(title: str, names: list[str]) -> str:
    return f"\n{title}: {', '.join(f'`{name}`' for name in names)}.\n" if names else ""


def page() -> str:
    """The page, as it should be now."""
    parts, here_in_all, all_names = [], 0, 0
    for module, names in read("names").items():
        prefix = f"{module}." if module else ""
        here = [name for name in names if found(prefix + name) is not None]
        missing = [name for name in names if name not in here]
        here_in_all, all_names = here_in_all + len(here), all_names + len(names)
        parts.append(f"\n## keras{'.' if module else ''}{module} ({len(here)} of {len(names)})\n")
        parts += [_listed("Here", here), _listed("Not here", missing)]
    parts.append("\n## Methods and attributes\n")
    for path, names in read("members").items():
        example = EXAMPLES[path](deepcore)
        here = [name for name in names if has_member(example, name)]
        parts.append(f"\n### {path} ({len(here)} of {len(names)})\n")
        parts += [_listed("Here", here), _listed("Not here", [name for name in names if name not in here])]
    paths = comparable()
    parts.append(f"\n## Arguments that are not here\n\nOf {len(paths)} classes, functions and methods.\n\n")
    for title, of in (
        ("", missing_arguments),
        ("\n## Arguments in another order\n\n", other_places),
        ("\n## Defaults that differ, with those of Keras\n\n", other_defaults),
    ):
        lines = [(path, of(path)) for path in paths]
        parts += [title, *(f"- `{path}`: {', '.join(f'`{name}`' for name in told)}\n" for path, told in lines if told)]
    return f"{HEAD}\n{here_in_all} of {all_names} names are here.\n{''.join(parts)}"


if __name__ == "__main__":
    (FOLDER / "keras.md").write_text(page())
