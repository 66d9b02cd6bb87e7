"""The command as a whole: version, help, speed of starting, info."""

import json
import subprocess
import sys

import pytest

import deepcore
from deepcore.backend.dispatch import implementations, operations


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"deepcore {deepcore.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], ["info", "explain", "bench", "deepcore bench ops --suite lenet --all-implementations"]),
        (["explain", "-h"], ["--strides", "deepcore explain max_pool2d 32x112x112x64 --pool-size 2"]),
        (["bench", "ops", "--help"], ["--all-implementations", "--output-dir", "deepcore bench ops --suite all"]),
    ],
)
def test_help_has_examples(run, arguments, expected):
    result = run(*arguments)
    assert result.exit_code == 0
    for text in expected:
        assert text in result.stdout


def test_python_dash_m_is_the_same_command():
    result = subprocess.run([sys.executable, "-m", "deepcore", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"deepcore {deepcore.__version__}\n"


@pytest.mark.parametrize(
    ("imported", "absent"),
    [("deepcore", ("typer", "rich", "numba")), ("deepcore.cli", ("numba", "deepcore.benchmarks", "rich.progress"))],
)
def test_imports_stay_light(imported, absent):
    code = f"import {imported}, sys; print([name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_unknown_command_ends_with_status_2(run):
    assert run("bnech").exit_code == 2


def test_info_lists_every_implementation_and_every_device(run, plant, monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    plant("matmul", "absent", print, device="cuda", available=lambda: (False, "no GPU; pip install 'deepcore[cuda13]'"))
    result = run("info", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    listed = {(record["op"], record["implementation"], record["device"]) for record in facts["implementations"]}
    assert listed == {(op, record.name, record.device) for op in operations() for record in implementations(op)}
    planted = next(record for record in facts["implementations"] if record["implementation"] == "absent")
    assert planted["available"] is False
    assert planted["reason"] == "no GPU; pip install 'deepcore[cuda13]'"
    assert {"cpu", "cuda", "emulator"} <= {device["device"] for device in facts["devices"]}
    assert all(device["reason"] for device in facts["devices"])
    assert facts["versions"]["deepcore"] == deepcore.__version__
    assert facts["machine"]["memory_bytes"] > 2**20
    assert facts["blas"][0]["threads"] >= 1


def test_info_as_tables_shows_the_install_line_whole(run, plant):
    plant("matmul", "absent", print, device="cuda", available=lambda: (False, "no GPU; pip install 'deepcore[cuda13]'"))
    result = run("info")
    assert result.exit_code == 0, result.stderr
    for heading in ("Machine", "Versions", "BLAS and threads", "Environment", "Devices", "Implementations"):
        assert heading in result.stdout
    line = next(line for line in result.stdout.splitlines() if "absent" in line)
    assert line.split()[:4] == ["matmul", "absent", "cuda", "no"]
    assert "pip install 'deepcore[cuda13]'" in line
    for op in operations():
        assert op in result.stdout


def test_info_shows_the_settings_that_distort_measurements(run, monkeypatch):
    from deepcore.benchmarks.machine import machine

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    machine.cache_clear()
    try:
        facts = json.loads(run("info", "--json").stdout)
    finally:
        machine.cache_clear()
    assert facts["environment"]["OPENBLAS_CORETYPE"] == "Haswell"
    assert any(warning.startswith("OPENBLAS_CORETYPE=Haswell is set") for warning in facts["warnings"])
