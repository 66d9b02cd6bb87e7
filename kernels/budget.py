"""What a kernel may cost, as it is written above its declaration: ``// registers: 40``.

Elements of 16 bits may take more, since a thread moves twice as many of them: ``// registers: 40, 48 for 16 bits``.

The figure is that of ptxas for sm_90 with ``T`` = ``float``, rounded up to a multiple of 8; where a kernel is built for
several tiles, that of the most expensive one.
"""

from __future__ import annotations

import re


def register_budgets(source: str, half: bool = False) -> dict[str, int | None]:
    """The registers a thread that each ``extern "C"`` kernel of ``source`` may use; None where nothing is written.

    ``half`` asks for those of a build for elements of 16 bits.

    >>> budget = '// registers: 48, 56 for 16 bits (large tiles)'
    >>> source = budget + chr(10) + 'extern "C" __global__ void __launch_bounds__(256) scale(T* x) { }'
    >>> register_budgets(source), register_budgets(source, half=True)
    ({'scale': 48}, {'scale': 56})
    """
    declared = re.compile(
        r"(?:^[ \t]*//[ \t]*registers:[ \t]*(?P<registers>\d+)(?:, (?P<half>\d+) for 16 bits)?[^\n]*\n)?"
        r'^[ \t]*extern "C"\s+__global__\s+void\s+'
        r"(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(?P<name>\w+)\s*\(",
        flags=re.MULTILINE,
    )
    found = {}
    for match in declared.finditer(source):
        registers = match["half"] if half and match["half"] else match["registers"]
        found[match["name"]] = None if registers is None else int(registers)
    return found
