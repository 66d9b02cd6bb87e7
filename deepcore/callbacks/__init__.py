"""What is told of the progress of fit, evaluate and predict."""

from deepcore.callbacks.callback import Callback, CallbackList
from deepcore.callbacks.history import History
from deepcore.callbacks.loss_watch import LossWatch
from deepcore.callbacks.progress import ProgbarLogger
from deepcore.errors import explain_missing

__all__ = ["Callback", "CallbackList", "History", "LossWatch", "ProgbarLogger"]

explain_missing(__name__)
