"""What is kept on disk: found again without Numba, made again when it has to be, done without where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter
from deepcore.kernels.cpu.host import host

SCRIPT = """
import sys
import numpy as np
from deepcore.backend import numpy_backend
from deepcore.backend.geometry import Pool2DGeometry
g = Pool2DGeometry.of((2, 9, 9, 16), 3, 2, "same")
y = numpy_backend().avg_pool2d_fprop(np.full(g.x_shape, 2, np.float32), g)
assert (y == 2).all(), y
print("numba" in sys.modules)
"""


def run(before="", **settings):
    environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    command = [sys.executable, "-W", "always", "-c", before + SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A folder that a process has just compiled into."""
    home = tmp_path_factory.mktemp("compiled")
    assert run(DEEPCORE_HOME=home)[0] == "True"
    return home


@pytest.fixture
def home(compiled, tmp_path):
    """A copy of it."""
    return shutil.copytree(compiled, tmp_path / "home")


def test_a_second_process_needs_no_compiler(home):
    files = {path: path.stat().st_mtime_ns for path in (home / "kernels").iterdir()}
    assert files
    assert run(DEEPCORE_HOME=home) == ("False", "")
    assert {path: path.stat().st_mtime_ns for path in (home / "kernels").iterdir()} == files


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="elsewhere LLVM loads code")
def test_a_second_process_needs_no_llvm(home):
    refuse = "import sys\nsys.modules['llvmlite.binding'] = None\n"
    assert run(refuse, DEEPCORE_HOME=home) == ("False", "")


def test_another_vector_unit_has_files_of_its_own(home):
    before = len(list((home / "kernels").iterdir()))
    run(DEEPCORE_HOME=home, DEEPCORE_VECTOR="generic")
    assert len(list((home / "kernels").iterdir())) > before


def test_a_damaged_file_is_made_again(home):
    for path in (home / "kernels").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert run(DEEPCORE_HOME=home)[0] == "True"
    assert run(DEEPCORE_HOME=home)[0] == "False"


def test_a_folder_that_cannot_be_written_to_gives_one_warning(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    _, said = run(DEEPCORE_HOME=blocked)
    assert said.count("RuntimeWarning") == 1
    assert "DEEPCORE_HOME" in said


FULL = """
from deepcore.kernels import cache
def refuse(*args):
    raise OSError(28, "No space left on device")
cache.replace = refuse
"""
REFUSED = """
import tempfile
def refuse(*args, **kwargs):
    raise PermissionError(13, "Read-only file system")
tempfile.TemporaryFile = refuse
"""


def test_what_lies_in_a_folder_that_cannot_be_written_to_is_used(home, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert run(REFUSED, DEEPCORE_HOME=home, TMPDIR=temporary) == ("False", "")
    built = next((home / "kernels").glob("*.o"))
    built.unlink()
    _, said = run(REFUSED, DEEPCORE_HOME=home, TMPDIR=temporary)
    assert said.count("RuntimeWarning") == 1
    assert not built.exists()
    assert not list(temporary.iterdir()), "what was built elsewhere goes with the process"


def test_a_full_disk_is_passed_over(tmp_path):
    compiled, said = run(FULL, DEEPCORE_HOME=tmp_path)
    assert compiled == "True"
    assert "Warning" not in said
    assert not list((tmp_path / "kernels").iterdir())


def test_a_long_build_says_what_it_is_doing_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path))
    monkeypatch.setattr(library, "_building", library.SILENT_SECONDS + 1)
    monkeypatch.setattr(library, "_told", False)
    for name in ("nothing", "worker"):
        library._addresses.pop(f"task pool {name}", None)
        library.task("pool", name)
    said = capsys.readouterr().err
    assert said.count("compiling") == 1
    assert f"once; they are kept in {tmp_path / 'kernels'} (deepcore warmup compiles them all)" in said


def test_what_cannot_be_kept_is_not_said_to_be(tmp_path, monkeypatch, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("DEEPCORE_HOME", str(blocked))
    monkeypatch.setattr(library, "_building", library.SILENT_SECONDS + 1)
    monkeypatch.setattr(library, "_told", False)
    library._addresses.pop("task pool nothing", None)
    with pytest.warns(RuntimeWarning, match="not kept"):
        library.task("pool", "nothing")
    assert capsys.readouterr().err == "deepcore: compiling loops for this CPU, for this process alone\n"


def test_threads_that_ask_at_the_same_time_wait_for_one_that_builds(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path))
    made, found, together = [], [], threading.Barrier(4)

    def make():
        made.append(threading.get_ident())
        time.sleep(0.1)  # the others ask meanwhile
        return Emitter("nothing", (), host()).finish()

    def ask():
        together.wait()
        found.append(library.function("nothing of a test", make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(found) == 4
    assert len(set(found)) == 1
