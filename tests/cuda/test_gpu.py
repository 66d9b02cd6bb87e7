"""The way to a GPU, on a stand-in for CuPy: devices, launches, transfers, memory. What only a GPU shows is not here."""

from __future__ import annotations

import gc
import re

import numpy as np
import pytest

import deepcore
from deepcore import Tensor, layers, ops
from deepcore.backend.cuda import carrier, cubin, launcher, probe, transfer
from deepcore.benchmarks import warmup
from deepcore.device import Device, as_device, current_device, describe_devices, use_device
from deepcore.errors import DeviceMismatchError, DeviceUnavailableError, OutOfMemoryError
from deepcore.kernels.emulator import BuildError


@pytest.fixture(autouse=True)
def _own_cubins(monkeypatch, tmp_path):
    """What the stand-in compiles is kept apart; the emulator's builds are shared by all tests."""
    monkeypatch.setattr(cubin, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warmup, "cache_folder", lambda: tmp_path)


def test_a_gpu_is_found_and_described(gpus):
    gpus(count=2)
    assert probe() == (
        True,
        "Stand-in, compute capability 9.0, one of 2 GPUs; driver for CUDA 13.0, CuPy 0 (stand-in)",
    )
    assert {name: ok for name, ok, _ in describe_devices()}["cuda"]
    assert as_device("cuda") == as_device("cuda:0") == as_device("auto") == Device("cuda")


def test_what_is_too_old_or_not_there_is_refused(gpus):
    gpus(capability=(7, 0))
    with pytest.raises(
        DeviceUnavailableError, match=r"'cuda' was asked for, but Stand-in, compute capability 7\.0, is"
    ):
        as_device("cuda")
    gpus()
    with pytest.raises(DeviceUnavailableError, match="'cuda:1' was asked for, but this machine has 1 GPU: only cuda"):
        as_device("cuda:1")
    gpus(count=2)
    with pytest.raises(DeviceUnavailableError, match="this machine has 2 GPUs: cuda:0 to cuda:1"):
        as_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_tensors_go_there_and_back(name, gpus, rng):
    gpus(count=2)
    values = rng.standard_normal((3, 5))
    x = Tensor(values, dtype="float32", device=name)
    assert str(x.device) == name
    assert x.data.device.id == as_device(name).index
    np.testing.assert_array_equal(x.numpy(), values.astype("float32"))
    np.testing.assert_array_equal(x.T.numpy(), values.astype("float32").T)
    assert Tensor(x.data).device == x.device, "an array of a GPU stays there"
    assert Tensor(x.data).data is x.data, "and is shared"
    np.testing.assert_array_equal(x.to("cpu").to(name).numpy(), x.numpy())
    assert (Tensor(2.5, device=name).item(), Tensor(True, device=name).item()) == (2.5, True)
    assert Tensor(np.zeros((0, 3), "float32"), device=name).numpy().shape == (0, 3)
    with pytest.raises(TypeError, match="a tensor on a GPU, which would copy it unasked"):
        np.asarray(x)
    with use_device(name):
        assert current_device() == Tensor([1.0]).device == x.device


def test_from_one_gpu_to_another(gpus):
    gpus(count=2)
    x = Tensor([1.0, 2.0], device="cuda")
    with deepcore.audit() as log:
        y = x.to("cuda:1")
    log.assert_none()
    assert (y.data.device.id, y.tolist()) == (1, [1.0, 2.0])
    assert Tensor(x.data, device="cuda:1").data.device.id == 1
    with pytest.raises(DeviceMismatchError, match=r"on cuda, float32\[2\] on cuda:1"):
        x + y
    y.assign([3.0, 4.0])
    assert (x.tolist(), y.tolist()) == ([1.0, 2.0], [3.0, 4.0])


def lenet(device, x, y):
    deepcore.random.set_seed(3)
    with use_device(device):
        model = deepcore.Sequential(
            [
                layers.Conv2D(4, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dropout(0.2),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(
            deepcore.optimizers.Adam(weight_decay=1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        assert {str(weight.device) for weight in model.weights} == {device}
        return model.history.history["loss"], model.predict(x, verbose=0)


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_network_trains_as_on_the_emulator(name, gpus, rng):
    machine = gpus(count=2)
    x = rng.standard_normal((8, 6, 6, 1)).astype("float32")
    y = rng.integers(0, 10, 8).astype("int32")
    losses, predictions = lenet(name, x, y)
    expected, at_end = lenet("emulator", x, y)
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(predictions, at_end)
    assert {index for _, index in machine.launched} == {as_device(name).index}
    assert {"adam", "dropout"} <= {kernel for kernel, _ in machine.launched}


def test_a_training_step_on_resident_data_transfers_nothing(gpus, rng):
    machine = gpus()
    x = Tensor(rng.standard_normal((8, 6, 6, 1)).astype("float32"), device="cuda")
    y = Tensor(rng.integers(0, 10, 8).astype("int32"), device="cuda")
    with use_device("cuda"):
        model = deepcore.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(10, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.train_on_batch(x, y)
        machine.copies.clear()
        with deepcore.audit() as log:
            model.train_step((x, y, None))
    log.assert_none()
    assert machine.copies == []


def test_indices_of_the_host_are_copied_and_counted(gpus):
    gpus()
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], device="cuda")
    with deepcore.audit() as log:
        assert x[np.array([1, 0, 1]), 1].tolist() == [4.0, 2.0, 4.0]
    assert (log.host_to_device.number, log.device_to_host) == (1, (1, 12))
    with deepcore.audit() as log:
        picked = x[x > 1.5]
    assert (log.host_to_device.number, log.synchronisations) == (0, 1), "a mask's length is not known before"
    assert picked.tolist() == [2.0, 3.0, 4.0]


# Compiled once


def _bias_activation(**defines):
    x = Tensor(np.ones((2, 4), "float32"), device="cuda").data
    launcher.kernel("activation", "bias_activation", T="float", **defines).launch(1, 256, x, None, x, 4, 1, 8)


def test_a_cubin_is_compiled_once_and_kept(gpus, tmp_path):
    machine = gpus()
    _bias_activation()
    _bias_activation()
    assert machine.compiled == ["activation.cu"]
    (kept,) = tmp_path.iterdir()
    assert re.fullmatch(r"activation-[0-9a-f]{24}\.cubin", kept.name)
    machine = gpus()  # as another process
    _bias_activation()
    assert machine.compiled == []


def test_a_cubin_is_compiled_anew_if_what_went_in_changes(gpus, tmp_path):
    gpus()
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "a.cu").write_text('#include "b.cuh"\n')
    (folder / "b.cuh").write_text('#include "c.cuh"\n')
    (folder / "c.cuh").write_text("// one\n")
    (folder / "common.cuh").write_text("")
    (folder / "other.cuh").write_text("")
    file = folder / "a.cu"

    def fresh(capability=90, **defines):
        return not cubin.cubin(file, defines, capability).cached

    assert [fresh(), fresh(), fresh(T="float"), fresh(80), fresh(T="float"), fresh(80)] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    (folder / "other.cuh").write_text("// not included")
    assert not fresh()
    for header in ("c.cuh", "common.cuh"):
        (folder / header).write_text("// two\n")
        assert fresh(), header
        assert not fresh()


def test_a_file_that_does_not_compile(gpus, tmp_path):
    gpus()
    (tmp_path / "bad.cu").write_text("#error no\n")
    with pytest.raises(BuildError, match=r"bad\.cu does not compile .*\n.*error: #error was found"):
        cubin.cubin(tmp_path / "bad.cu", {}, 90)
    assert [file.name for file in tmp_path.iterdir()] == ["bad.cu"], "nothing half-done is kept"


def test_the_byte_that_cupy_drops_is_put_back():
    whole = bytearray(64 + 2 * 64)
    whole[:5] = b"\x7fELF\x02"
    whole[40:48] = (64).to_bytes(8, "little")
    whole[58:62] = (64).to_bytes(2, "little") + (2).to_bytes(2, "little")
    assert cubin._whole(bytes(whole[:-1])) == bytes(whole)
    assert cubin._whole(bytes(whole)) == bytes(whole)
    assert cubin._whole(b"text") == b"text"


def test_large_shared_memory_is_asked_for_once(gpus):
    gpus()
    asked = []

    class Run:
        def __call__(self, grid, block, args, shared_mem):
            assert shared_mem <= self.max_dynamic_shared_size_bytes

        def __setattr__(self, name, value):
            asked.append(value)
            object.__setattr__(self, name, value)

    x = Tensor(np.ones(8, "float32"), device="cuda").data
    code = launcher.kernel("activation", "bias_activation", T="float")
    run = Run()
    object.__setattr__(run, "max_dynamic_shared_size_bytes", 48 << 10)
    loaded = carrier._Function(run)
    for shared in (100, 60 << 10, 50 << 10, 100 << 10):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(carrier, "_loaded", lambda *_: loaded)
            code.launch(1, 32, x, None, x, 4, 1, 8, shared=shared)
    assert asked == [60 << 10, 100 << 10]


# Transfers


def test_a_long_array_travels_in_pieces_through_few_buffers(gpus, monkeypatch, rng):
    monkeypatch.setattr(transfer, "CHUNK", 1 << 12)
    monkeypatch.setattr(transfer, "MOST_PINNED", 3 << 12)
    machine = gpus()
    values = rng.standard_normal(5_003).astype("float32")
    x = Tensor(values, device="cuda")
    assert [count for _, count in machine.copies] == [4096] * 4 + [20_012 - 4 * 4096]
    assert transfer._staging[0].held == 3 << 12
    np.testing.assert_array_equal(x.numpy(), values)
    assert transfer._staging[0].held == 3 << 12


def test_the_host_may_change_its_array_at_once(gpus, rng):
    """Buffers of pinned memory are not filled again before the copy from them is done."""
    gpus()
    host = rng.standard_normal(1000).astype("float32")
    first_values = host.copy()
    first = Tensor(host, device="cuda")
    host[:] = 7
    second = Tensor(host, device="cuda")
    np.testing.assert_array_equal(first.numpy(), first_values)
    np.testing.assert_array_equal(second.numpy(), host)


def test_buffers_are_used_again(gpus):
    gpus()
    for number in range(5):
        x = Tensor(np.full(2000, number, "float32"), device="cuda")
        assert x.numpy()[-1] == number
    held = transfer._staging[0].held
    for number in range(20):
        Tensor(np.full(2000, number, "float32"), device="cuda").numpy()
    assert transfer._staging[0].held == held


# Memory


def test_memory_is_counted(gpus):
    machine = gpus(room=1 << 20)
    before = deepcore.memory_stats("cuda")
    assert (before.in_use, before.peak, before.total) == (0, None, 1 << 20)
    deepcore.reset_peak_memory("cuda")
    x = Tensor(np.zeros(2048, "float32"), device="cuda")
    y = Tensor(np.zeros(1024, "float32"), device="cuda")
    both = deepcore.memory_stats("cuda")
    assert (both.in_use, both.peak, both.held, both.allocations) == (12288, 12288, 12288, 2)
    machine.flush()
    del y
    gc.collect()
    now = deepcore.memory_stats("cuda")
    assert (now.in_use, now.peak, now.held, now.free) == (8192, 12288, 12288, (1 << 20) - 12288)
    assert str(now).startswith("cuda:0: 8.0 KiB in use (at most 12.0 KiB), 12.0 KiB held by the pool")
    assert x.size == 2048


def test_out_of_memory_says_what_and_what_to_try(gpus):
    gpus(room=1 << 20)
    x = Tensor(np.zeros(1 << 16, "float32"), device="cuda")
    words = (
        r"cuda:0 is out of memory: asked for an array of float32 and shape \(512, 512\), 1\.0 MiB.*256\.0 KiB are in "
        r"use, the pool holds 256\.0 KiB, and 768\.0 KiB of 1\.0 MiB are free\. Try a smaller batch"
    )
    with pytest.raises(OutOfMemoryError, match=words):
        Tensor(np.zeros((512, 512), "float32"), device="cuda")
    with pytest.raises(MemoryError, match=r"shape \(2, 200, 512\)"), use_device("cuda"):
        deepcore.random.uniform((2, 200, 512))
    with pytest.raises(OutOfMemoryError, match="the result of an operation"):
        ops.concatenate([x, x, x, x])


def test_what_the_pool_keeps_is_given_back_before_giving_up(gpus):
    machine = gpus(room=1 << 20)
    x = Tensor(np.zeros(200_000, "float32"), device="cuda")
    machine.flush()
    del x
    gc.collect()
    assert machine.kept[0] == 800_000
    y = Tensor(np.ones(100_000, "float32"), device="cuda")
    assert y.numpy().sum() == 100_000
    assert machine.kept[0] == 0


def test_warmup_compiles_for_the_gpu_once(gpus, tmp_path):
    machine = gpus(count=2, capability=(8, 0))
    told = []
    first = deepcore.warmup("cuda:1", ["lenet"], report=lambda *args: told.append(args))
    assert (first.hits, first.misses) == (0, len(machine.compiled))
    assert [number for number, _, _ in told] == list(range(1, first.misses + 1))
    assert len(list(tmp_path.iterdir())) == first.misses > 20
    assert first.bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    again = deepcore.warmup("cuda", ["lenet"])
    assert (again.hits, again.misses) == (first.misses, 0), "GPUs of one capability share"
    gpus(capability=(9, 0))
    assert deepcore.warmup("cuda", ["lenet"]).misses == first.misses, "those of another do not"
