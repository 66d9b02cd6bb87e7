"""The CPU: NumPy everywhere, and Numba's compiled loops where they win.

NumPy alone is always a correct path; Numba is imported when a loop first runs.
"""
