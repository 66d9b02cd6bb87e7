"""Kernels for a CPU's vector units: LLVM IR made at run time for the host, driven by tasks that Numba compiles.

Three kinds of code meet here. *Microkernels* (the files that import ``emit.py``, such as ``tile.py`` and
``pooling.py``) are emitted instruction by instruction, because no compiler keeps a tile of sums in registers unasked.
*Tasks* (``tasks/``) are plain Python over pointers and sizes, compiled by Numba: they walk over one share of the work
and call microkernels by address. What both are told is laid out in ``record.py``. ``library.py`` keeps both on disk as
machine code, so that a later process needs neither Numba nor a compiler, and ``threads.py`` hands tasks to all cores.
"""
