"""Objects as plain data and back: what ``get_config`` gives and what model files hold.

The data is Keras 3's: ``{"module", "class_name", "config", "registered_name"}`` for an object, and a marked dictionary
for what JSON does not know (slices, arrays, symbolic tensors). Objects are made only of classes that are exported here,
registered, or given as custom objects: nothing else can be named, imported or called by a configuration.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import inspect
import marshal
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from deepcore.errors import CorruptedFileError, nearest
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import Tensor

C = TypeVar("C")
_PLAIN = (bool, int, float, str)
_LAMBDA = "<lambda>"

# Public classes and functions: for each kind ("layers", "optimizers.schedules", "" for the top) those by name.
_public: dict[str, dict[str, Any]] = {}
_homes: dict[Any, tuple[str, str | None]] = {}  # of a public class: its module in Keras, its registered name there

_registered: dict[str, Any] = {}
_registered_names: dict[Any, str] = {}
_scoped: ContextVar[dict[str, Any] | None] = ContextVar("deepcore_custom_objects", default=None)
_safe: ContextVar[bool | None] = ContextVar("deepcore_safe_mode", default=None)
_always_unsafe = False


class _Shared:
    """Objects that were met more than once, by the number that a file knows them by."""

    def __init__(self) -> None:
        self.configs: dict[int, dict[str, Any]] = {}
        self.written: dict[int, dict[str, Any]] = {}  # the same by their own ids, to be told from other dictionaries
        self.kept: list[Any] = []  # an id is an object's only while the object lives
        self.objects: dict[Any, Any] = {}


_shared: ContextVar[_Shared | None] = ContextVar("deepcore_shared_objects", default=None)


# What can be named


def export(module: str, thing: C, registered_name: str | None = None, alias: str | None = None) -> C:
    """Lets configurations name ``thing``, a class or a function, as ``module.Name``.

    Args:
        module: as Keras writes it, ``"keras.layers"``.
        thing: the class or function.
        registered_name: what Keras writes beside it; None for what is public there.
        alias: another name, which is read and not written.
    """
    _public.setdefault(_kind_of(module), {})[alias or thing.__name__] = thing  # type: ignore[attr-defined]
    if inspect.isclass(thing) and alias is None:
        _homes[thing] = module, registered_name
    return thing


def _kind_of(module: str) -> str:
    """``"layers"`` for ``"keras.layers"``; of a private module, the part that names a kind."""
    rest = module.split(".")[1:]
    if not rest or rest[0] != "src":
        return ".".join(rest)
    for length in (2, 1):
        for start in range(1, len(rest) - length + 1):
            kind = ".".join(rest[start : start + length])
            if kind in _public:
                return kind
    return rest[1] if len(rest) > 1 else ""


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[C], C]:
    """Decorator: files may name the class or function, as ``"package>name"``.

    Args:
        package: of the name.
        name: the class's or function's own by default.

    Raises ``ValueError`` for a class without ``get_config``.

    >>> from deepcore.layers import Layer
    >>> @register_keras_serializable("mine")
    ... class Twice(Layer):
    ...     def call(self, x):
    ...         return x * 2
    >>> get_registered_name(Twice)
    'mine>Twice'
    """

    def add(thing: C) -> C:
        registered_name = f"{package}>{name or thing.__name__}"  # type: ignore[attr-defined]
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ValueError(
                f"{thing.__name__} cannot be registered: a class must implement get_config(), which gives the "
                "arguments to make its objects anew."
            )
        _registered[registered_name] = thing
        _registered_names[thing] = registered_name
        return thing

    return add


def get_registered_name(obj: Any) -> str:
    """The name that a class or function is registered under; its own if it is not."""
    with contextlib.suppress(TypeError):  # not everything can be a key
        return _registered_names.get(obj, obj.__name__)
    return obj.__name__


def get_registered_object(
    name: Any, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The class or function called ``name``: a custom object, a registered one, or one of the mappings; or None."""
    for known in (_scoped.get(), _registered, custom_objects, module_objects):
        if known and isinstance(name, str) and name in known:
            return known[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """The registered classes and functions by name; what is put into this dictionary is known everywhere."""
    return _registered


class CustomObjectScope:
    """Within the block, configurations may name these classes and functions.

    Args:
        custom_objects: classes and functions by name.

    >>> from deepcore import activations
    >>> with CustomObjectScope({"double": lambda x: 2 * x}):
    ...     activations.get("double")(3)
    6
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})
        self._tokens: list[Any] = []

    def __enter__(self) -> CustomObjectScope:
        self._tokens.append(_scoped.set({**(_scoped.get() or {}), **self.custom_objects}))
        return self

    def __exit__(self, *_: Any) -> None:
        _scoped.reset(self._tokens.pop())


custom_object_scope = CustomObjectScope


# Code in files


class SafeModeScope:
    """Within the block, code in configurations is refused (``safe_mode``), or allowed."""

    def __init__(self, safe_mode: bool | None = True) -> None:
        self.safe_mode = safe_mode
        self._tokens: list[Any] = []

    def __enter__(self) -> SafeModeScope:
        self._tokens.append(_safe.set(self.safe_mode))
        return self

    def __exit__(self, *_: Any) -> None:
        _safe.reset(self._tokens.pop())


def in_safe_mode() -> bool | None:
    """Whether code in configurations is refused; None where nobody has said."""
    return False if _always_unsafe else _safe.get()


def enable_unsafe_deserialization() -> None:
    """From now on, code in configurations is run. Only for files that you made yourself."""
    global _always_unsafe
    _always_unsafe = True


def _code_of(function: types.FunctionType) -> list[Any]:
    warnings.warn(
        "A lambda is being saved. Its code goes into the file as it is, and will be read back only with "
        "safe_mode=False, by the same version of Python. Give the function a name with def, and register it with "
        "@deepcore.saving.register_keras_serializable(), instead.",
        stacklevel=4,
    )
    cells = function.__closure__
    return [
        base64.encodebytes(marshal.dumps(function.__code__)).decode("ascii"),
        serialize(function.__defaults__),
        None if cells is None else serialize([cell.cell_contents for cell in cells]),
    ]


def _function_of(value: Any, safe_mode: bool) -> Any:
    if safe_mode:
        raise ValueError(
            "The file holds the code of a Python lambda, so loading it is arbitrary code execution. If you trust "
            "whoever made it, pass safe_mode=False; otherwise do not load it."
        )
    code, defaults, closure = value if isinstance(value, list | tuple) else (value, None, None)
    try:
        body = marshal.loads(base64.decodebytes(code.encode("ascii")))
    except (binascii.Error, ValueError, EOFError, TypeError, UnicodeEncodeError) as error:
        raise CorruptedFileError(f"The code of a lambda in the file cannot be read: {error}") from error
    cells = None if closure is None else tuple(types.CellType(part) for part in closure)
    names = {"__builtins__": __builtins__, "np": np}
    return types.FunctionType(body, names, body.co_name, tuple(defaults) if defaults else None, cells)


# Objects to data


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within the block, an object that is met twice is written, or made, as one."""
    token = _shared.set(_Shared())
    try:
        yield
    finally:
        _shared.reset(token)


def serialize(obj: Any) -> Any:
    """``obj`` as plain data: numbers, text, lists and dictionaries.

    Raises ``TypeError`` for an object without ``get_config``.

    >>> serialize(slice(1, None))
    {'class_name': '__slice__', 'config': {'start': 1, 'stop': None, 'step': None}}
    """
    if obj is None or isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, list | tuple):
        parts = [serialize(part) for part in obj]
        return parts if isinstance(obj, list) else tuple(parts)
    if isinstance(obj, Mapping):
        shared = _shared.get()
        if shared is not None and id(obj) in shared.written:
            return obj
        return {key: serialize(value) for key, value in obj.items()}
    for kind, describe in _MARKED:
        if isinstance(obj, kind):
            return describe(obj)
    if isinstance(obj, types.FunctionType) and obj.__name__ == _LAMBDA:
        code, defaults, closure = value = _code_of(obj)  # Keras's Lambda looks for the parts, all else for the whole
        return _mark("lambda", value=value, code=code, defaults=defaults, closure=closure)
    return _describe(obj)


def _describe_symbol(x: SymbolicTensor) -> dict[str, Any]:
    history = None if x.node is None else [x.node.operation.name, 0, x.index]
    return _mark("keras_tensor", shape=list(x.shape), dtype=x.dtype.name, keras_history=history)


def _mark(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": f"__{kind}__", "config": config}


_MARKED: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (np.generic, lambda x: x.item()),
    (np.dtype, lambda x: x.name),
    (bytes, lambda x: _mark("bytes", value=x.decode("utf-8"))),
    (slice, lambda x: _mark("slice", start=serialize(x.start), stop=serialize(x.stop), step=serialize(x.step))),
    (type(Ellipsis), lambda x: _mark("ellipsis")),
    (SymbolicTensor, _describe_symbol),
    (Tensor, lambda x: _mark("tensor", value=x.numpy().tolist(), dtype=x.dtype.name)),
    (np.ndarray, lambda x: _mark("numpy", value=x.tolist(), dtype=x.dtype.name) if x.ndim else x.item()),
)


def _describe(obj: Any) -> dict[str, Any]:
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType | type):
        home: tuple[str | None, str, str | None] = "builtins", "function", "function"
        inner: Any = get_registered_name(obj)
    elif hasattr(obj, "get_config"):
        inner = obj.get_config()
        if not isinstance(inner, dict):
            raise TypeError(f"get_config() of {obj!r} must give a dictionary; it gave {inner!r}.")
        inner, home = serialize(inner), _home(type(obj))
    else:
        raise TypeError(
            f"{obj!r} ({type(obj).__name__}) cannot be written as data: its class needs get_config(), which gives the "
            "arguments to make it anew."
        )
    config = {"module": home[0], "class_name": home[1], "config": inner, "registered_name": home[2]}
    for key, method in (("build_config", "get_build_config"), ("compile_config", "get_compile_config")):
        extra = getattr(obj, method, lambda: None)()
        if extra is not None:
            config[key] = serialize(extra)
    shared = _shared.get()
    if shared is not None:
        if id(obj) in shared.configs:
            config["shared_object_id"] = shared.configs[id(obj)]["shared_object_id"] = id(obj)
        shared.configs.setdefault(id(obj), config)
        shared.written[id(config)] = config
        shared.kept.append(obj)
    return config


def _home(cls: type) -> tuple[str | None, str, str | None]:
    """Module, name and registered name that a class's objects are written with."""
    if cls in _homes:
        module, registered_name = _homes[cls]
        return module, cls.__name__, registered_name
    module = cls.__module__
    return (None if module == "__main__" else module), cls.__name__, get_registered_name(cls)


# Data to objects


def deserialize(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    kinds: Mapping[str, Any] | None = None,
) -> Any:
    """The object of ``serialize``'s data.

    Args:
        config: the data.
        custom_objects: classes and functions by name that it may name besides those of this library.
        safe_mode: whether code in the data is refused.
        kinds: more classes by name, which are looked up where the data names no module.

    Raises ``TypeError`` for a class or function that nobody knows, and ``ValueError`` for code in safe mode.
    """
    said = in_safe_mode()
    safe_mode = safe_mode if said is None else said
    with CustomObjectScope(custom_objects), SafeModeScope(safe_mode):
        return _made(config, safe_mode, kinds)


def _made(config: Any, safe_mode: bool, kinds: Mapping[str, Any] | None = None) -> Any:
    if isinstance(config, str):
        custom = get_registered_object(config)
        return config if custom is None else custom
    if config is None or isinstance(config, _PLAIN):
        return config
    if isinstance(config, list | tuple):
        return [_made(part, safe_mode, kinds) for part in config]
    if not isinstance(config, dict):
        raise TypeError(f"A configuration holds numbers, text, lists and dictionaries; got {config!r}.")
    if "class_name" not in config or "config" not in config:
        return {key: _made(value, safe_mode, kinds) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise TypeError(f"'class_name' is the name of a class; got {name!r}.")
    if name in _MARKS:
        return _MARKS[name](inner or {})
    if name == "__slice__":
        return slice(*(_made(inner.get(key), safe_mode) for key in ("start", "stop", "step")))
    if name == "__lambda__":
        parts = inner.get("value") or [inner.get(part) for part in ("code", "defaults", "closure")]
        return _function_of(parts, safe_mode)
    if name == "function":
        if not isinstance(inner, str):
            raise TypeError(f"Expected 'config' to be a non-null str, the name of a function; got {inner!r}.")
        return _find(inner, config.get("registered_name"), config.get("module"), None, function=True)
    if inner is None:
        inner = {}
    if not isinstance(inner, dict):
        raise TypeError(f"Expected 'config' to be a dict, the arguments of {name}; got {inner!r}.")
    shared, number = _shared.get(), config.get("shared_object_id")
    if shared is not None and number is not None and number in shared.objects:
        return shared.objects[number]
    made = _instance(_find(name, config.get("registered_name", name), config.get("module"), kinds), inner, config)
    if shared is not None and number is not None:
        shared.objects[number] = made
    return made


def _instance(cls: Any, inner: dict[str, Any], config: dict[str, Any]) -> Any:
    if not inspect.isclass(cls):
        return cls
    make: Any = getattr(cls, "from_config", None)
    if make is None:
        raise TypeError(
            f"Unable to reconstruct an instance of {cls.__name__} from its configuration: it has no from_config()."
        )
    try:
        made = make(_fitting(cls, inner))
    except TypeError as error:
        raise TypeError(
            f"{cls.__name__} could not be made from its configuration: {error} Make sure that objects "
            "which its get_config() gives are explicitly deserialized in its from_config(). "
            f"The configuration: {inner!r}"
        ) from error
    build, compiled = config.get("build_config"), config.get("compile_config")
    if build and not getattr(made, "built", True):
        made.build_from_config(build)
        made.built = True
    if compiled and hasattr(made, "compile_from_config"):
        made.compile_from_config(compiled)
    return made


# Settings of a switch that Keras has and that is off: the switch, by the setting's name.
_SETTINGS_OF = {"ema_momentum": "use_ema", "renorm_momentum": "renorm"}


def _fitting(cls: type, inner: dict[str, Any]) -> dict[str, Any]:
    """A copy for the class's constructor, without the options of Keras that it does not have and that are off."""
    if cls not in _homes:
        return dict(inner)
    known = arguments_of(cls)
    return {
        key: value
        for key, value in inner.items()
        if key in known or not (value in (None, False) or inner.get(_SETTINGS_OF.get(key, key)) in (None, False))
    }


@functools.cache
def arguments_of(cls: type) -> frozenset[str]:
    """Names that the constructors of a class and of its bases take, and those that its models are written with."""
    constructors = [base.__dict__["__init__"] for base in cls.__mro__ if "__init__" in base.__dict__]
    names = {name for function in constructors[:-1] for name in inspect.signature(function).parameters}
    return frozenset(names - {"self", "args", "kwargs"} | {"build_input_shape", "input_layers", "output_layers"})


def _find(name: str, registered_name: Any, module: Any, kinds: Mapping[str, Any] | None, function: bool = False) -> Any:
    """The class or function that a configuration may mean. Raises ``TypeError`` if there is none."""
    public = isinstance(module, str) and module.split(".")[0] in ("keras", "deepcore")
    for spelling in (registered_name, None if public and not function else name):
        custom = get_registered_object(spelling)
        if custom is not None:
            return custom
    found = None
    if public:
        found = _public.get(_kind_of(module), {}).get(name)
    elif module in (None, "builtins"):
        found = (kinds or {}).get(name) or next((known[name] for known in _public.values() if name in known), None)
    if found is not None and registered_name not in (None, "", "function", name):
        raise ValueError(
            f"{name} resolved to a Keras built-in, but 'registered_name' says {registered_name!r}, which nobody has "
            "registered. Register it, or leave 'registered_name' out to mean the built-in."
        )
    if found is None and module in (None, "builtins"):  # older files hold one's own functions without their package
        found = next((thing for full, thing in _registered.items() if full.endswith(f">{name}")), None)
    if found is None:
        known = {known for things in _public.values() for known in things} | set(_scoped.get() or ()) | set(_registered)
        where = f"{module}.{name}" if module else name
        raise TypeError(
            f"Could not locate {where}, which the configuration names.{nearest(name, known)} Classes and functions of "
            "your own are found only if they are decorated with @deepcore.saving.register_keras_serializable(), or "
            "given as custom_objects={'" + name + "': ...}."
        )
    return found


def _array(config: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    kind = np.dtype(config["dtype"])
    if kind.kind not in "fiub":
        raise TypeError(f"An array in a configuration holds numbers; got dtype {kind}.")
    return np.array(config["value"], kind)


def _symbol(config: Mapping[str, Any]) -> SymbolicTensor:
    return SymbolicTensor(config["shape"], config["dtype"])


_MARKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "__keras_tensor__": _symbol,
    "__tensor__": lambda config: Tensor(_array(config)),
    "__numpy__": _array,
    "__bytes__": lambda config: config["value"].encode("utf-8"),
    "__ellipsis__": lambda config: Ellipsis,
}
