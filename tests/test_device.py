from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

import deepcore
from deepcore.backend import FILES, cuda
from deepcore.device import CPU, Device, as_device, current_device, describe_devices, use_device
from deepcore.errors import DeviceUnavailableError

no_gpu = pytest.mark.skipif(cuda.probe()[0], reason="this machine has a GPU: there is no refusal to look at")


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x", "cuda:", "CUDA", ""])
def test_unknown_names_offer_the_known_ones(name):
    with pytest.raises(ValueError, match=r"Unknown device.*cpu, cuda, cuda:1, emulator"):
        as_device(name)


def test_nearest_name():
    with pytest.raises(ValueError, match="Did you mean 'cuda'"):
        as_device("cuad")


def test_not_a_name():
    with pytest.raises(TypeError, match="got 3"):
        as_device(3)


@no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_cuda_without_a_gpu_says_why_and_what_to_do(name):
    with pytest.raises(DeviceUnavailableError, match=rf"'{name}' was asked for, but .*device='cpu' works") as caught:
        as_device(name)
    assert (
        "pip install 'deepcore[cuda1" in str(caught.value)
        or "nvidia-smi" in str(caught.value)
        or "kernels" in str(caught.value)
    )


@no_gpu
def test_auto_falls_back_and_says_so_once():
    program = (
        "import warnings; warnings.simplefilter('always')\n"
        "from deepcore.device import as_device\n"
        "print(as_device('auto'), as_device('auto'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cpu", "cpu"]
    assert done.stderr.count("device 'auto' runs on the CPU") == 1


@pytest.mark.parametrize(
    ("name", "kind"), [("cpu", "cpu"), ("cpu:0", "cpu"), ("CPU:0", "cpu"), ("emulator", "emulator")]
)
def test_keras_names_for_a_device_in_a_with_statement(name, kind):
    with deepcore.device(name):
        assert current_device() == Device(kind)
    assert current_device() == CPU


def test_keras_gpu_is_cuda(monkeypatch):
    asked = []
    monkeypatch.setattr(deepcore.device, "use_device", asked.append)
    for name in ("gpu", "gpu:1", "GPU:0", "cuda:1"):
        deepcore.device(name)
    assert asked == ["cuda", "cuda:1", "cuda:0", "cuda:1"]


@pytest.mark.parametrize("name", [3, None, "tpu:0"])
def test_keras_device_refuses_what_is_none(name):
    with pytest.raises(ValueError, match=r"such as 'cpu', 'gpu'|Unknown device"):
        deepcore.device(name).__enter__()


def test_use_device_nests_and_ends():
    emulator = Device("emulator")
    assert current_device() == CPU
    with use_device(emulator):
        assert current_device() == emulator
        with use_device("cpu"):
            assert current_device() == CPU
        assert current_device() == emulator
    assert current_device() == CPU


def test_use_device_around_a_function_that_calls_itself():
    @use_device(Device("emulator"))
    def seen(depth):
        below = seen(depth - 1) if depth else []
        return [*below, current_device()]

    assert seen(2) == [Device("emulator")] * 3
    assert current_device() == CPU


def test_use_device_holds_for_one_thread_and_one_task():
    seen = []
    with use_device(Device("emulator")):
        thread = threading.Thread(target=lambda: seen.append(current_device()))
        thread.start()
        thread.join()
    assert seen == [CPU]

    async def inside(device):
        with use_device(device):
            await asyncio.sleep(0)
            return current_device()

    async def both():
        return await asyncio.gather(inside(CPU), inside(Device("emulator")))

    assert asyncio.run(both()) == [CPU, Device("emulator")]


@pytest.mark.parametrize(("value", "words"), [("cpu", "cpu"), ("cup", "DEEPCORE_DEVICE is 'cup'.*Did you mean 'cpu'")])
def test_environment_variable(value, words):
    import re

    program = "from deepcore import Tensor; print(Tensor([1.0]).device)"
    environment = {**os.environ, "DEEPCORE_DEVICE": value}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert re.search(words, done.stdout + done.stderr)
    assert (done.returncode == 0) == (value == "cpu")


def test_what_is_wrong_with_another_variable_is_not_said_of_the_device():
    program = "import numpy as np; from deepcore import ops; ops.matmul(np.ones((400, 400)), np.ones((400, 400)))"
    environment = {**os.environ, "DEEPCORE_NUM_THREADS": "many"}
    environment.pop("DEEPCORE_DEVICE", None)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert "ValueError: DEEPCORE_NUM_THREADS must be a positive integer; got 'many'." in done.stderr
    assert "DEEPCORE_DEVICE" not in done.stderr


def test_every_kind_is_described():
    described = {name: (ok, reason) for name, ok, reason in describe_devices()}
    assert list(described) == ["cpu", "emulator", "cuda"]
    assert described["cpu"][0]
    assert all(reason for _, reason in described.values())


def test_backend_has_every_file_of_the_contract():
    backend = CPU.backend
    assert len(FILES) == len(set(FILES))
    with pytest.raises(AttributeError, match="no function 'conv3d_fprop'"):
        backend.conv3d_fprop  # noqa: B018
