"""docs/keras.md says what deepcore has of Keras, and says it of the deepcore that is tested."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_agrees_with_the_library():
    script = runpy.run_path(str(DOCS / "keras_page.py"))
    assert (DOCS / "keras.md").read_text() == script["page"](), "run: python docs/keras_page.py"
    assert script["found"]("layers.Dense") is not None
    assert script["found"]("layers.Unheard") is None
