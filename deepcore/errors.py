"""The exceptions that are deepcore's own, and the sentences that errors share.

Wrong values raise ``ValueError`` and wrong types ``TypeError``, as in NumPy and Keras; only what a program may want to
catch by itself has a class here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any


class DeviceUnavailableError(RuntimeError):
    """A device was asked for that this machine, or this installation, cannot offer; the message says why."""


class DeviceMismatchError(ValueError):
    """Arrays of two devices met in one operation."""


class OutOfMemoryError(MemoryError):
    """A device has too little memory; the message says what was asked, what there is, and what to try."""


class UnsupportedCallError(ValueError):
    """An implementation was forced that cannot serve the call; the message says why."""


class CorruptedFileError(ValueError):
    """A file is truncated, or is not what its checksum or its header says."""


class RefusedCodeError(ValueError):
    """A file holds code, which is run only where that was asked for."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that nobody knows, with the nearest known names.

    >>> print(unknown_name("activation", "rleu", ["relu", "tanh"]))
    Unknown activation 'rleu'. Did you mean 'relu'? Known: relu, tanh.
    """
    choices = sorted(known)
    return ValueError(f"Unknown {kind} {name!r}.{nearest(name, choices)} Known: {', '.join(choices)}.")


def nearest(name: object, known: Iterable[str]) -> str:
    """A question that offers the known names nearest to ``name``, led by a space; empty if none is near.

    >>> nearest("Sequntial", ["Sequential", "Tensor"])
    " Did you mean 'Sequential'?"
    """
    from difflib import get_close_matches  # only mistakes pay for it

    near = get_close_matches(str(name), sorted(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def explain_missing(module_name: str, late: Mapping[str, str] | None = None) -> None:
    """Lets a module say, of a name that it lacks, what is nearest, see ``deepcore.absent``.

    Called at the end of the module. ``late`` gives, for names that the module offers from modules that import it
    themselves, those modules.
    """
    module = sys.modules[module_name]
    late = late or {}

    def missing(name: str) -> Any:
        from deepcore.absent import missing_attribute

        if name in late:
            return getattr(import_module(late[name]), name)
        public = vars(module).get("__all__", vars(module))
        raise missing_attribute(module_name, name, [each for each in (*public, *late) if not each.startswith("_")])

    vars(module)["__getattr__"] = missing
