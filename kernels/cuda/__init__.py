"""CUDA C++ kernels, one family a file."""
