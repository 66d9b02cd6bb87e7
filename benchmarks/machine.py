"""What a time was measured on: processor, memory, versions, BLAS, threads, settings."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import deepcore
from deepcore.backend.numpy.loops import numba_available

SETTINGS = ("OPENBLAS_", "MKL_", "OMP_", "NUMBA_", "DEEPCORE_", "BLIS_", "VECLIB_", "GOTO_", "CUDA_VISIBLE_")
PACKAGES = ("numpy", "numba", "llvmlite", "numba-cuda", "cupy-cuda12x", "cupy-cuda13x", "cupy")

# In the order of what they replace; a name counts where the processor reports the flag (Linux names them so).
_VECTORS = {
    "SSE4.2": "sse4_2",
    "AVX": "avx",
    "AVX2": "avx2",
    "FMA": "fma",
    "AVX-512F": "avx512f",
    "AVX-512BW": "avx512bw",
    "AVX-512VNNI": "avx512_vnni",
    "AVX-512BF16": "avx512_bf16",
    "AMX": "amx_tile",
    "NEON": "asimd",
    "SVE": "sve",
    "SVE2": "sve2",
}

# Settings that make one processor behave like a smaller one: numbers taken under them hold only there.
_CRIPPLING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")

# Linux counts how cores spend their time, in hundredths of a second: first for itself and its processes, then what the
# host of a virtual machine gave to others.
_STAT = Path("/proc/stat")
_STOLEN = 7
_WORTH_TELLING = 0.01  # of the cores' time


@dataclass(frozen=True)
class Blas:
    """A BLAS library that is loaded: its name, version, the processor it was tuned for, and its threads."""

    name: str
    version: str
    architecture: str
    threads: int

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.architecture}, {threads_text(self.threads)})"


@dataclass(frozen=True)
class Machine:
    """Facts about this machine and this process; sizes in bytes.

    ``load`` is the load average of the minute before the first look: how many processes wanted a core.
    """

    cpu: str
    cores: int
    vectors: tuple[str, ...]
    memory: int
    last_level_cache: int
    system: str
    python: str
    versions: dict[str, str]
    settings: dict[str, str]
    commit: str
    load: float

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} {'core' if self.cores == 1 else 'cores'}, {self.widest_vector}"

    @property
    def widest_vector(self) -> str:
        """The vector extension that decides how fast float32 arithmetic can be."""
        for name in ("SVE2", "SVE", "NEON", "AVX-512F", "AVX2", "AVX", "SSE4.2"):
            if name in self.vectors:
                return name
        return "no known vector extension"

    @property
    def warnings(self) -> list[str]:
        """Sentences about settings that distort a measurement."""
        found = [
            f"{name}={self.settings[name]} is set: BLAS does not use what this processor offers. Unset it to measure."
            for name in _CRIPPLING
            if name in self.settings
        ]
        if self.load > self.cores / 2:
            found.append(
                f"The load average is {self.load:.1f} on {self.cores} cores: other processes compute, and times are "
                "longer and less steady than this machine's own."
            )
        return found


@functools.cache
def machine() -> Machine:
    """This machine, looked at once."""
    flags = set(_cpuinfo("flags", "Features").split())
    return Machine(
        cpu=_cpuinfo("model name", "Model") or platform.processor() or platform.machine(),
        cores=usable_cores(),
        vectors=tuple(name for name, flag in _VECTORS.items() if flag in flags),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        last_level_cache=_last_level_cache(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions=versions(),
        settings={name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)},
        commit=commit(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    )


class Stolen:
    """How much of the cores' time the host of a virtual machine gives to others, from now on."""

    def __init__(self) -> None:
        self._since = _ticks()

    def share(self) -> float | None:
        """From 0 to 1, of all cores of the machine; None where the system does not tell, or before it counted."""
        passed = [now - then for now, then in zip(_ticks(), self._since, strict=True)]
        return round(passed[_STOLEN] / sum(passed), 4) if sum(passed) else None


def stolen_text(shares: Iterable[float | None]) -> str:
    """A sentence about what the host took while rows were measured; empty if that was not worth telling."""
    known = [share for share in shares if share is not None]
    if not known or sum(known) / len(known) < _WORTH_TELLING:
        return ""
    return (
        f"The host took {sum(known) / len(known):.0%} of the cores' time from this machine, up to {max(known):.0%} in "
        "a row: times are longer, and ratios less steady, than its own."
    )


def usable_cores() -> int:
    """Cores that this process may run on, which a container or ``taskset`` may have narrowed."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of deepcore and of the packages that do its work, without importing them."""
    found = {"deepcore": deepcore.__version__}
    installed = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return found | {package: installed[package] for package in PACKAGES if package in installed}


def blas() -> list[Blas]:
    """The BLAS libraries that NumPy computes with: its own, or where it brings none, all that are loaded."""
    import numpy  # noqa: F401, its BLAS is what is asked about
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if any(part.startswith("numpy") for part in Path(pool["filepath"]).parts)]
    return [
        Blas(pool["internal_api"], pool["version"] or "?", pool.get("architecture") or "?", pool["num_threads"])
        for pool in own or pools
    ]


def loop_threads() -> int:
    """Threads that compiled loops use; 1 where none are compiled."""
    if not numba_available()[0]:
        return 1
    from deepcore.kernels.cpu import threads

    return threads.count()


def set_threads(count: int) -> None:
    """From now on, loops and matrix products of this thread run on ``count`` threads.

    Raises ``ValueError`` if there are no ``count`` cores, or if Numba has already started with fewer.
    """
    cores = usable_cores()
    if not 1 <= count <= cores:
        allowed = "1 core" if cores == 1 else f"{cores} cores"
        raise ValueError(f"{threads_text(count)} were asked for; this process may use {allowed}.")
    import numpy  # noqa: F401, its BLAS must be loaded to be told
    from threadpoolctl import threadpool_limits

    threadpool_limits(count, user_api="blas")
    if not numba_available()[0]:
        return
    import numba

    from deepcore.kernels.cpu import threads

    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if count > most:
        raise ValueError(
            f"{threads_text(count)} were asked for, but Numba started with {most}; unset NUMBA_NUM_THREADS."
        )
    numba.set_num_threads(count)
    threads.set_threads(count)


@functools.cache
def commit() -> str:
    """The commit of the source tree that is imported, or the version of an installed package."""
    root = Path(deepcore.__file__).resolve().parents[1]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--tags"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return f"v{deepcore.__version__}"


def threads_text(count: int) -> str:
    """Threads in words.

    >>> threads_text(1), threads_text(2)
    ('1 thread', '2 threads')
    """
    return f"{count} thread" if count == 1 else f"{count} threads"


def _cpuinfo(*keys: str) -> str:
    """The first value of any of ``keys`` that Linux gives for the first processor; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in keys:
            return value.strip()
    return ""


def _ticks() -> list[int]:
    """What all cores did since the machine started: by user, nice, system, idle, iowait, irq, softirq, stolen."""
    try:
        line = _STAT.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return []
    return [int(field) for field in line.split()[1 : _STOLEN + 2]]


def _last_level_cache() -> int:
    """Bytes of the largest cache; 32 MiB where the system does not say."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    sizes = []
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text(encoding="ascii").strip()
        sizes.append(int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text))
    return max(sizes, default=32 << 20)
