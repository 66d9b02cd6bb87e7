"""Reverse-mode differentiation: the tape (graph), what is recorded on it (primitive), and the way back (engine)."""

from deepcore.autograd.engine import backward, grad, gradients, value_and_grad
from deepcore.autograd.gradcheck import gradcheck
from deepcore.autograd.graph import is_recording, no_grad
from deepcore.autograd.tape import GradientTape
from deepcore.errors import explain_missing

__all__ = ["GradientTape", "backward", "grad", "gradcheck", "gradients", "is_recording", "no_grad", "value_and_grad"]

explain_missing(__name__)
