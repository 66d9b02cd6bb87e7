"""Comments in a kernel's source that tests go by."""

from __future__ import annotations

import re
from pathlib import Path

KERNELS = Path(__file__).parent / "kernels"


def marks(file: str, kernel: str, word: str) -> dict[int, str]:
    """Lines of a kernel that end in a comment ``// word text``, and the texts."""
    lines = (KERNELS / file).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if re.search(rf"__global__ .*\b{kernel}\(", line))
    end = next(i for i in range(start, len(lines)) if lines[i] == "}")
    found = {}
    for i in range(start, end):
        match = re.search(rf"// {word} (.+)$", lines[i])
        if match:
            found[i + 1] = match[1].strip()
    return found
