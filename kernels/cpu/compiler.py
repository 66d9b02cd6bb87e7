"""LLVM: what makes machine code of IR. Imported when something must be compiled, since that takes 50 ms."""

from __future__ import annotations

import llvmlite.binding as llvm

from deepcore.kernels.cpu.host import Host

TYPED_POINTERS = llvm.llvm_version_info[0] < 15  # LLVM 15 took away the type of what a pointer points to


def processor() -> tuple[str, frozenset[str]]:
    """What tells this machine's processor from others, and the features that it has."""
    features = llvm.get_host_cpu_features()
    return f"{llvm.get_host_cpu_name()} {features.flatten()}", frozenset(name for name, has in features.items() if has)


def target(host: Host) -> llvm.TargetMachine:
    """LLVM's code generator for a host; an execution engine takes possession of the one that it is given."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = host.cpu, ""
    if cpu is None:
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    found = llvm.Target.from_triple(llvm.get_process_triple())
    return found.create_target_machine(cpu=cpu, features=features, opt=3)


def compiled(text: str, host: Host) -> bytes:
    """The object file of a module, given as LLVM IR."""
    module = llvm.parse_assembly(text)
    module.verify()
    return target(host).emit_object(module)


def loaded(code: bytes, name: str, host: Host) -> int:
    """The address of the function ``name`` of an object file; 0 if it has none."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target(host))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(name)
    # The code outlives the interpreter: threads of the pool may still be in it when the process ends.
    engine.detach()
    return address
