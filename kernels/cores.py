"""How many threads to use; the one place that asks the environment."""

from __future__ import annotations

import contextlib
import functools
import os

VARIABLES = ("DEEPCORE_NUM_THREADS", "OMP_NUM_THREADS")


@functools.cache
def cores() -> int:
    """Threads to use: what ``DEEPCORE_NUM_THREADS`` or else ``OMP_NUM_THREADS`` says, or else the cores there are.

    Raises ``ValueError`` if the variable is not a positive integer.
    """
    for variable in VARIABLES:
        value = os.environ.get(variable, "").split(",")[0].strip()
        if value:
            if not value.isdecimal() or int(value) < 1:
                raise ValueError(f"{variable} must be a positive integer; got {value!r}.")
            return int(value)
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
