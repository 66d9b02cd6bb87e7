"""Barrier-free loops: one Python body each, compiled by Numba for the CPU."""
