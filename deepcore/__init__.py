"""deepcore: deep-learning layers whose hot paths run on NumPy, or on hand-written CUDA kernels."""

__version__ = "0.1.0"
