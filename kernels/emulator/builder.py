"""Builds kernels for this machine's processor: finds a compiler, and keeps what it built.

A build is kept in ``$DEEPCORE_HOME/kernels`` (``~/.deepcore/kernels`` by default) under a name that says what went in:
the source and every header it includes, the macros, the compiler's version, and the emulator's own sources.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepcore.kernels.cache import cache_folder, digest, included, once, replace
from deepcore.kernels.signature import Signature, parse_signatures, strip_comments

HERE = Path(__file__).parent
INCLUDE = HERE / "include"
SOURCE = HERE / "source"
CUDA = HERE.parent / "cuda"


class CompilerNotFoundError(RuntimeError):
    """There is no C++ compiler that could build kernels for the emulator; the message says what to install."""


class BuildError(RuntimeError):
    """A kernel does not compile; the message is the compiler's."""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: the command, and what it says of itself, with this processor's flags."""

    command: tuple[str, ...]
    version: str

    def run(self, arguments: Sequence[str | Path]) -> None:
        """Raises :class:`BuildError` with the compiler's own words if it fails."""
        words = [*self.command, *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            rest = f"\n… and {len(lines) - 60} more lines" if len(lines) > 60 else ""
            raise BuildError(f"{' '.join(self.command)} failed:\n" + "\n".join(lines[:60]) + rest)


def compiler() -> Compiler:
    """The compiler that the environment variable ``CXX`` names, or ``g++``.

    Raises:
        CompilerNotFoundError: it is not there, or is not GCC 10 or later.
    """
    return _find(os.environ.get("CXX") or "g++")


@functools.cache
def _find(name: str) -> Compiler:
    command = tuple(shlex.split(name))
    program = shutil.which(command[0]) if command else None
    where = "the environment variable CXX says" if os.environ.get("CXX") else "the default, since CXX is not set, is"
    if program is None:
        raise CompilerNotFoundError(
            f"The emulator needs a C++ compiler: {where} {name!r}, which was not found. Install g++ (Debian and "
            "Ubuntu: apt install g++; Fedora: dnf install gcc-c++), or set CXX to a g++."
        )
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    macros = subprocess.run(
        [*command, "-dM", "-E", "-x", "c++", os.devnull], capture_output=True, text=True, check=False
    )
    major = re.search(r"#define __GNUC__ (\d+)", macros.stdout)
    if major is None or "__clang__" in macros.stdout or int(major[1]) < 10:
        raise CompilerNotFoundError(
            f"The emulator needs GCC 10 or later: {where} {name!r}, which says: "
            f"{(said.stdout or said.stderr or 'nothing').splitlines()[0]!r}. Install g++, or set CXX to a g++."
        )
    flags = " ".join(_processor_flags(macros.stdout))
    return Compiler(command, f"{name}: {said.stdout.splitlines()[0]} {flags}")


def _processor_flags(macros: str) -> list[str]:
    """Vectors, and hardware conversions of float16, where this processor has them; wide ones where it is unknown."""
    if "__x86_64__" not in macros:
        return []
    try:
        features = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    modern = all(re.search(rf"\b{name}\b", features) for name in ("avx2", "f16c", "fma", "bmi2"))
    return ["-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2"] if modern else []


@functools.cache
def _own_sources() -> str:
    """One digest for all files of the emulator."""
    files = sorted([*INCLUDE.glob("*.h"), *SOURCE.glob("*.h"), *SOURCE.glob("*.cpp"), Path(__file__)])
    return digest(part for file in files for part in (file.name, file.read_bytes()))


_OWN = ("-std=c++17", "-fPIC", "-fvisibility=hidden")
_KERNEL = (
    *_OWN,
    # Lines alone, and of the kernels alone: no finding is in the runtime, and where variables lie is nobody's question.
    # DWARF 4, because addr2line of binutils 2.40 mistakes the first file of a unit in DWARF 5 for the unit itself.
    "-g1",
    "-gdwarf-4",
    "-fno-var-tracking",
    "-fno-var-tracking-assignments",
    "-w",
    "-fno-strict-aliasing",
    "-fno-gnu-unique",
    "-fno-extern-tls-init",
    "-fno-trapping-math",
    "-fno-math-errno",
    "-ffp-contract=fast",
)
_FAST = ("-O2",)
# Unoptimised enough that every access of the source is one access of the program; no libtsan is linked.
_CHECK = ("-O1", "-fsanitize=thread", "-fno-tree-vectorize", "-fno-tree-slp-vectorize", "-fno-optimize-sibling-calls")


def _runtime(tool: Compiler, folder: Path) -> Path:
    """The runtime's object file, built once per compiler and version of the emulator."""
    target = folder / f"runtime-{digest((tool.version, _own_sources()))}.o"

    def make() -> None:
        # One unit of all files: the standard headers are what compiling them costs.
        unit = "".join(f'#include "{file}"\n' for file in sorted(SOURCE.glob("*.cpp")))
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            written = Path(scratch) / "runtime.cpp"
            written.write_text(unit, encoding="utf-8")
            flags: list[str | Path] = [*_OWN, "-O2", *_flags_of(tool), "-c", written]
            replace(folder, target.name, lambda temporary: tool.run([*flags, "-o", temporary]))

    once(target, make)
    return target


def _headers(tool: Compiler, flags: Sequence[str], folder: Path) -> Path:
    """The emulator's headers, as a kernel compiled with ``flags`` includes them.

    GCC finds them compiled beside this file, which saves most kernels half of their time; what it cannot use, it reads
    as text.
    """
    # Where the headers are counts as well: findings name no line of theirs, which they know by its file.
    header = folder / f"headers-{digest((tool.version, _own_sources(), str(INCLUDE), *flags))}.h"
    compiled = header.with_suffix(".h.gch")

    def make() -> None:
        text = f'#include "{INCLUDE / "emulator.h"}"\n'
        replace(folder, header.name, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        words: list[str | Path] = [*flags, "-x", "c++-header", header]
        replace(folder, compiled.name, lambda temporary: tool.run([*words, "-o", temporary]))

    once(compiled, make)
    return header


def _dynamic_shared(texts: Iterable[str]) -> str:
    """Defines the dynamic shared memory under each name by which the kernels know it."""
    pattern = r"\bextern\s+__shared__\s[^;]*?(\w+)\s*\[\s*\]"
    names = {"emulator_dynamic_shared"}.union(*(re.findall(pattern, strip_comments(text)) for text in texts))
    labels = "".join(
        f'".globl {name}\\n.hidden {name}\\n.type {name}, %tls_object\\n{name}:\\n"\n' for name in sorted(names)
    )
    return (
        'asm(".pushsection .tbss.emulator, \\"awT\\", %nobits\\n.balign 1024\\n"\n'
        f'{labels}".zero {(227 << 10) + 1024}\\n.popsection\\n");\n'
    )


@dataclass(frozen=True)
class Built:
    """A kernel library, the kernels in it, and whether it was there already."""

    library: Path
    signatures: dict[str, Signature]
    cached: bool


def build(
    source: Path, defines: Mapping[str, object], folders: Sequence[Path], check: bool, label: str | None = None
) -> Built:
    """Builds ``source`` as a library, or finds it in the cache.

    Args:
        source: a ``.cu`` file.
        defines: macros; ``True`` defines one without a value.
        folders: where included files are looked for, after the folder of the file that includes them.
        check: whether loads and stores are watched.
        label: the name of the file in messages; its path by default.

    Raises:
        CompilerNotFoundError: no compiler.
        BuildError: it does not compile.
    """
    tool = compiler()
    source = source.resolve()
    folders = [*(folder.resolve() for folder in folders), CUDA]
    files = included(source, folders)
    signatures = parse_signatures(files[source], defines, "\n".join(files[file] for file in files if file != source))
    # Defined after the emulator's headers, which have template parameters called T, too.
    macros = "".join(f"#define {name} {'' if value is True else value}\n" for name, value in sorted(defines.items()))
    flags = [*_KERNEL, *(_CHECK if check else _FAST), *_flags_of(tool)]
    unit = f'{macros}#line 1 "{source.with_name(label) if label else source}"\n{files[source]}\n#line 1 "entries"\n'
    unit += "".join(f"EMULATOR_ENTRY({name})\n" for name in signatures) + _dynamic_shared(files.values())
    parts = [str(file) + content for file, content in files.items()]
    key = digest([tool.version, _own_sources(), unit, *parts, *flags, *map(str, folders)])
    folder = cache_folder()
    stem = re.sub(r"[^\w-]", "_", source.stem)
    library = folder / f"{stem}-{key}.so"

    def make() -> None:
        search = [f"-iquote{path}" for path in (source.parent, *folders)] + [f"-I{path}" for path in folders]
        runtime, headers = _runtime(tool, folder), _headers(tool, flags, folder)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            written = Path(scratch) / "kernel.cpp"
            written.write_text(unit, encoding="utf-8")
            compiled = written.with_suffix(".o")
            tool.run([*flags, *search, "-include", headers, "-c", written, "-o", compiled])
            link: list[str | Path] = [
                "-shared",
                "-Wl,-Bsymbolic",
                "-Wl,-z,now",
                "-Wl,-z,defs",
                compiled,
                runtime,
                "-lm",
            ]
            replace(folder, library.name, lambda temporary: tool.run([*link, "-o", temporary]))

    return Built(library, signatures, cached=not once(library, make))


def _flags_of(tool: Compiler) -> list[str]:
    return [word for word in tool.version.split() if word.startswith("-m")]
