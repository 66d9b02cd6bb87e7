"""Test files of this folder import their tables from beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
