"""Writes docs/keras.md: which public names of Keras 3.15 deepcore has. Run: python docs/keras_page.py"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import deepcore

FOLDER = Path(__file__).parent
HEAD = """# Keras's names in deepcore

The public names of Keras 3.15, module by module, and whether deepcore has each. A name that is not here fails where a
script uses it, with the nearest name that is. Written by `python docs/keras_page.py`; a test holds it to the library.
"""


def found(path: str) -> Any:
    """What a dotted path leads to from ``deepcore``; None if deepcore has no such thing."""
    thing: Any = deepcore
    for name in path.split("."):
        thing = getattr(thing, name, None)
        if thing is None:
            return None
    return None if isinstance(thing, ModuleType) and not callable(thing) else thing


def page() -> str:
    """The page, as it should be now."""
    parts, here_in_all, all_names = [], 0, 0
    for module, names in json.loads((FOLDER / "keras_names.json").read_text()).items():
        if not names:
            continue
        prefix = f"{module}." if module else ""
        here = [name for name in names if found(prefix + name) is not None]
        missing = [name for name in names if name not in here]
        here_in_all, all_names = here_in_all + len(here), all_names + len(names)
        parts.append(f"\n## keras{'.' if module else ''}{module} ({len(here)} of {len(names)})\n")
        for title, listed in (("Here", here), ("Not here", missing)):
            if listed:
                parts.append(f"\n{title}: {', '.join(f'`{name}`' for name in listed)}.\n")
    return f"{HEAD}\n{here_in_all} of {all_names} names are here.\n{''.join(parts)}"


if __name__ == "__main__":
    (FOLDER / "keras.md").write_text(page())
