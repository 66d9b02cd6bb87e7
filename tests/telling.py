"""What tests of callbacks share that need no training."""

from __future__ import annotations

import numpy as np

from deepcore.optimizers import SGD


class Told:
    """Stands for a model where a callback only needs to be told of logs."""

    def __init__(self, rate=1.0, metrics=()):
        self.stop_training = False
        self.optimizer = SGD(rate)
        self.metrics = list(metrics)
        self.weights_now = 0
        self.saved = []

    def get_weights(self):
        return [np.array(self.weights_now)]

    def set_weights(self, weights):
        self.weights_now = int(weights[0])

    def save(self, path, overwrite=False):
        self.saved.append((path, overwrite))

    def save_weights(self, path, overwrite=False):
        self.saved.append((path, overwrite, "weights"))


def tell(callback, values, model=None, name="val_loss"):
    """Tells ``callback`` of an epoch with each value, as ``fit`` would; gives the model and the logs."""
    model = Told() if model is None else model
    callback.set_model(model)
    callback.set_params({"epochs": len(values)})
    callback.on_train_begin()
    logs = []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        model.weights_now = epoch
        logs.append({name: value})
        callback.on_epoch_end(epoch, logs[-1])
        if model.stop_training:
            break
    callback.on_train_end()
    return model, logs
