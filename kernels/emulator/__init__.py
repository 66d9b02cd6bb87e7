"""Runs the CUDA kernels on NumPy arrays, with no GPU."""
