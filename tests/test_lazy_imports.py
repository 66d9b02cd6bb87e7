"""``import deepcore`` stays light, and training imports nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import deepcore
heavy = {{"numba", "rich", "sklearn", "scipy", "matplotlib", "cupy", "h5py", "typer"}}
{body}
loaded = heavy & set(sys.modules)
assert not loaded, loaded
"""


def run(body):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(body=body)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_everything_public_loads_nothing_heavy():
    run("for name in deepcore.__all__: getattr(deepcore, name)")


def test_making_and_compiling_a_model_loads_nothing_heavy():
    run("model = deepcore.Sequential([deepcore.layers.Dense(2)])\nmodel.compile('adam', 'mse', metrics=['accuracy'])")
