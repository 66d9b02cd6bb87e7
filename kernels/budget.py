"""What a kernel may cost, as it is written above its declaration: ``// registers: 40``.

The figure is that of ptxas for sm_90 with ``T`` = ``float``, rounded up to a multiple of 8; where a kernel is built for
several tiles, that of the most expensive one.
"""

from __future__ import annotations

import re


def register_budgets(source: str) -> dict[str, int | None]:
    """The registers a thread that each ``extern "C"`` kernel of ``source`` may use; None where nothing is written.

    >>> text = '// registers: 48 (large tiles)' + chr(10) + 'extern "C" __global__ void __launch_bounds__(256)'
    >>> register_budgets(text + chr(10) + 'scale(float* x) { }')
    {'scale': 48}
    """
    declared = re.compile(
        r"(?:^[ \t]*//[ \t]*registers:[ \t]*(?P<registers>\d+)[^\n]*\n)?"
        r'^[ \t]*extern "C"\s+__global__\s+void\s+'
        r"(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(?P<name>\w+)\s*\(",
        flags=re.MULTILINE,
    )
    return {
        match["name"]: None if match["registers"] is None else int(match["registers"])
        for match in declared.finditer(source)
    }
