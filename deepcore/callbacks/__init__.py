"""What is told of the progress of fit, evaluate and predict."""

from deepcore.callbacks.backup_and_restore import BackupAndRestore
from deepcore.callbacks.callback import Callback, CallbackList
from deepcore.callbacks.csv_logger import CSVLogger
from deepcore.callbacks.early_stopping import EarlyStopping
from deepcore.callbacks.history import History
from deepcore.callbacks.lambda_callback import LambdaCallback
from deepcore.callbacks.learning_rate_scheduler import LearningRateScheduler
from deepcore.callbacks.loss_watch import LossWatch
from deepcore.callbacks.model_checkpoint import ModelCheckpoint
from deepcore.callbacks.progress import ProgbarLogger
from deepcore.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from deepcore.callbacks.remote_monitor import RemoteMonitor
from deepcore.callbacks.swap_ema_weights import SwapEMAWeights
from deepcore.callbacks.tensorboard import TensorBoard
from deepcore.callbacks.terminate_on_nan import TerminateOnNaN
from deepcore.errors import explain_missing

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "LossWatch",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

explain_missing(__name__)
