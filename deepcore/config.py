"""What holds for the whole program where a call says nothing else, by Keras's names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.errors import explain_missing

_FLOATS = ("float32", "float64")
_FORMATS = ("channels_last", "channels_first")
_state: dict[str, Any] = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "interactive_logging": True,
    "max_epochs": int(os.environ.get("KERAS_MAX_EPOCHS") or 0) or None,
    "max_steps_per_epoch": int(os.environ.get("KERAS_MAX_STEPS_PER_EPOCH") or 0) or None,
}


def floatx() -> str:
    """The dtype of layers and weights that are given none.

    >>> floatx()
    'float32'
    """
    return str(_state["floatx"])


def dtype_of(given: Any) -> np.dtype[Any]:
    """The dtype that ``given`` names; None is ``floatx()``. Raises ``ValueError`` unless it is one of numbers."""
    try:
        dtype = np.dtype(floatx() if given is None else given)
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype.kind not in "biuf":
        raise ValueError(f"dtype must be the name of a dtype of numbers, as 'float32'; got dtype={given!r}.")
    return dtype


def set_floatx(value: str) -> None:
    """Sets it: ``"float32"`` or ``"float64"``. Raises ``ValueError`` for another."""
    if value not in _FLOATS:
        raise ValueError(f"set_floatx: deepcore computes in {' or '.join(_FLOATS)}; got {value!r}.")
    _state["floatx"] = value


def epsilon() -> float:
    """The small number that scripts add to denominators.

    >>> epsilon()
    1e-07
    """
    return float(_state["epsilon"])


def set_epsilon(value: float) -> None:
    """Sets what ``epsilon()`` gives. The functions of deepcore keep the numbers that their documentation names."""
    _state["epsilon"] = float(value)


def image_data_format() -> str:
    """Where pictures have their channels if a call does not say.

    >>> image_data_format()
    'channels_last'
    """
    return str(_state["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Sets it: ``"channels_last"`` or ``"channels_first"``. Raises ``ValueError`` for another."""
    if str(data_format).lower() not in _FORMATS:
        raise ValueError(f"set_image_data_format expects {' or '.join(map(repr, _FORMATS))}; got {data_format!r}.")
    _state["image_data_format"] = str(data_format).lower()


def backend() -> str:
    """What computes: deepcore itself.

    >>> backend()
    'deepcore'
    """
    return "deepcore"


def max_epochs() -> int | None:
    """The most epochs of a ``fit``; None for no limit. From the beginning, ``KERAS_MAX_EPOCHS`` in the environment."""
    found: int | None = _state["max_epochs"]
    return found


def set_max_epochs(max_epochs: int | None) -> None:
    """Sets it, to try a script out quickly; None takes the limit away. Raises ``ValueError`` for a negative one."""
    _state["max_epochs"] = _limit("max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The most steps of an epoch, an ``evaluate`` or a ``predict``; None for no limit.

    From the beginning, ``KERAS_MAX_STEPS_PER_EPOCH`` in the environment.
    """
    found: int | None = _state["max_steps_per_epoch"]
    return found


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Sets it; None takes the limit away. Raises ``ValueError`` for a negative one."""
    _state["max_steps_per_epoch"] = _limit("max_steps_per_epoch", max_steps_per_epoch)


def _limit(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{name} must be a positive integer, or None for no limit; got {value!r}.")
    return value or None


def is_interactive_logging_enabled() -> bool:
    """Whether messages of training and of downloads are printed; else they go to the logger ``"deepcore"``."""
    return bool(_state["interactive_logging"])


def enable_interactive_logging() -> None:
    """Prints messages to standard output, as from the beginning."""
    _state["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """Sends messages to the logger ``"deepcore"``, as level INFO."""
    _state["interactive_logging"] = False


def home() -> Path:
    """The folder of what is kept between programs: ``$DEEPCORE_HOME``, or ``~/.deepcore``. It need not exist yet."""
    folder = os.environ.get("DEEPCORE_HOME")
    return Path(folder).expanduser() if folder else Path.home() / ".deepcore"


def show(message: str, end: str = "\n") -> None:
    """Prints a message, or logs it, see ``is_interactive_logging_enabled``."""
    if is_interactive_logging_enabled():
        print(message, end=end, flush=True)
    else:
        import logging  # takes longer than most imports, and few programs come here

        logging.getLogger("deepcore").info(message.strip())


def is_traceback_filtering_enabled() -> bool:
    """False: a traceback shows every call, those within deepcore too."""
    return False


def disable_traceback_filtering() -> None:
    """Leaves tracebacks whole, as they always are."""


def is_nnx_enabled() -> bool:
    """False: that is another backend's."""
    return False


explain_missing(
    __name__,
    late={
        "dtype_policy": "deepcore.dtype_policies",
        "enable_unsafe_deserialization": "deepcore.serialization",
        "set_dtype_policy": "deepcore.dtype_policies",
    },
)
