"""Networks in PyTorch: modules from the same data, the usual training loop, ``inference_mode``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from deepcore.benchmarks import network as data
from deepcore.benchmarks.learner import Learner
from deepcore.benchmarks.network import Network, Node, Weights

_ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU}


class Residual(nn.Module):
    """relu(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class Builder:
    """Makes modules, and remembers which weights go where.

    Attributes:
        named: for each layer with weights its module, and the sides of the image that a dense layer flattens.
        mirrored: whether the network is built as its own mirror image. A stride of 2 over an even side pads Keras's
            "same" at the end alone, and PyTorch's symmetric padding reads only what it puts at the beginning: the same
            work, seen in a mirror. So kernels and images are turned, and no library pays for a copy that pads.
    """

    def __init__(self, network: Network) -> None:
        self.named: dict[str, tuple[nn.Module, tuple[int, int] | None]] = {}
        self._names = data.namer()
        self._flattened: tuple[int, int] | None = None
        self.mirrored = any(
            isinstance(node, data.Depthwise | data.Conv)
            and node.strides > 1
            and (isinstance(node, data.Depthwise) or node.padding == "same")
            for node in network.layers
        )
        *sides, channels = network.input_shape
        self.module, *_ = self._sequence(network.layers, channels, (sides[0], sides[1]) if sides else None)

    def _sequence(
        self, nodes: Sequence[Node], channels: int, sides: tuple[int, int] | None
    ) -> tuple[nn.Module, int, tuple[int, int] | None]:
        made: list[nn.Module] = []
        for node in nodes:
            if isinstance(node, data.Residual):
                body, outputs, after = self._sequence(node.body, channels, sides)
                shortcut, *_ = self._sequence(node.shortcut, channels, sides)
                made.append(Residual(body, shortcut))
                channels, sides = outputs, after
            else:
                modules, channels, sides = self._modules(node, channels, sides)
                made += modules
        return nn.Sequential(*made), channels, sides

    def _modules(
        self, node: Node, channels: int, sides: tuple[int, int] | None
    ) -> tuple[list[nn.Module], int, tuple[int, int] | None]:
        if isinstance(node, data.Conv | data.Depthwise):
            assert sides is not None
            groups, outputs = (channels, channels) if isinstance(node, data.Depthwise) else (1, node.filters)
            padding = "same" if isinstance(node, data.Depthwise) else node.padding
            zeros = padding if isinstance(padding, int) else node.kernel // 2 if padding == "same" else 0
            bias = isinstance(node, data.Conv) and node.use_bias
            conv = nn.Conv2d(channels, outputs, node.kernel, node.strides, zeros, groups=groups, bias=bias)
            self._name(conv)
            after = (
                (sides[0] + 2 * zeros - node.kernel) // node.strides + 1,
                (sides[1] + 2 * zeros - node.kernel) // node.strides + 1,
            )
            return [conv, *_activation(getattr(node, "activation", "linear"))], outputs, after
        if isinstance(node, data.BatchNorm):
            norm = nn.BatchNorm2d(channels, eps=data.BATCH_NORM_EPSILON)
            self._name(norm)
            return [norm, *_activation(node.activation)], channels, sides
        if isinstance(node, data.MaxPool):
            assert sides is not None
            strides = node.strides or node.window
            after = (
                (sides[0] + 2 * node.padding - node.window) // strides + 1,
                (sides[1] + 2 * node.padding - node.window) // strides + 1,
            )
            return [nn.MaxPool2d(node.window, strides, node.padding)], channels, after
        if isinstance(node, data.GlobalAverage):
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()], channels, None
        if isinstance(node, data.Flatten):
            assert sides is not None
            self._flattened = sides
            return [nn.Flatten()], channels * sides[0] * sides[1], None
        if isinstance(node, data.Dropout):
            return [nn.Dropout(node.rate)], channels, sides
        assert isinstance(node, data.Dense)
        linear = nn.Linear(channels, node.units)
        self._name(linear)
        return [linear, *_activation(node.activation)], node.units, None

    def _name(self, module: nn.Module) -> None:
        self.named[next(self._names)] = module, self._flattened
        self._flattened = None


def _activation(name: str) -> list[nn.Module]:
    return [] if name == "linear" else [_ACTIVATIONS[name]()]


class TorchLearner(Learner):
    """PyTorch in one memory format, with one way to run its optimizer."""

    def __init__(self, network: Network, channels_last: bool, loop: str = "") -> None:
        images = len(network.input_shape) == 3
        self.format = torch.channels_last if channels_last and images else torch.contiguous_format
        layout = ("channels_last" if channels_last else "contiguous") if images else ""
        self.name = " ".join(part for part in (layout, loop) if part)
        self._builder = Builder(network)
        self.module = self._builder.module.to(memory_format=self.format)
        self._optimizer = _optimizer(self.module, network.optimizer, loop)
        self._order = (0, 3, 1, 2) if images else (0, 1)

    def set_weights(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, (module, flattened) in self._builder.named.items():
                for target, value in zip(
                    _parameters(module), self._turned(module, weights[name], flattened), strict=True
                ):
                    target.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    def _turned(
        self, module: nn.Module, parts: Sequence[np.ndarray], flattened: tuple[int, int] | None
    ) -> Iterator[np.ndarray]:
        kernel, *others = parts
        if isinstance(module, nn.Conv2d):
            # HWIO to OIHW; a depthwise kernel of Keras's is [height, width, channels, 1].
            yield self._mirror(kernel.transpose((2, 3, 0, 1) if module.groups > 1 else (3, 2, 0, 1)), (2, 3))
        elif isinstance(module, nn.Linear):
            if flattened is not None:  # PyTorch flattens channels first
                kernel = kernel.reshape(*flattened, -1, module.out_features).transpose(2, 0, 1, 3)
            yield kernel.reshape(-1, module.out_features).T
        else:
            yield kernel
        yield from others

    def _mirror(self, array: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
        return np.flip(array, axes) if self._builder.mirrored else array

    def load(self, x: np.ndarray) -> torch.Tensor:
        images = x.ndim == 4
        turned = np.ascontiguousarray(self._mirror(x, (1, 2)) if images else x)
        return torch.from_numpy(turned).permute(self._order).clone(memory_format=self.format)

    def prepare(self, x: np.ndarray, y: np.ndarray) -> Any:
        return self.load(x), torch.from_numpy(y.astype(np.int64))

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        self.module.train()
        return float(self._step(*self.prepare(x, y)))

    def epoch(self, data: Any, batch: int) -> float:
        x, y = data
        self.module.train()
        order = torch.randperm(len(x))
        total = torch.zeros(())
        for begin in range(0, len(x), batch):
            chosen = order[begin : begin + batch]
            images = x[chosen]
            if images.ndim == 4:
                images = images.contiguous(memory_format=self.format)
            total += self._step(images, y[chosen])
        return float(total) * batch / len(x)

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self._optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.module(x), y)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def predict(self, x: Any) -> torch.Tensor:
        with torch.inference_mode():
            return self.module.eval()(x)

    def fetch(self, logits: Any) -> np.ndarray:
        return logits.numpy()


def learners(network: Network, training: bool) -> list[Learner]:
    """PyTorch in both memory formats; in training also with every way that it has to run the optimizer on a CPU."""
    formats = (True, False) if len(network.input_shape) == 3 else (False,)
    loops = ("", "foreach", "fused") if training else ("",)
    found: list[Learner] = []
    for channels_last in formats:
        for loop in loops:
            # RMSprop has no fused way, and says so when it is made.
            with contextlib.suppress(TypeError, RuntimeError):
                found.append(TorchLearner(network, channels_last, loop))
    return found


def _parameters(module: nn.Module) -> list[torch.Tensor]:
    """A module's weights in Keras's order."""
    if isinstance(module, nn.BatchNorm2d):
        statistics = [module.running_mean, module.running_var]
        return [module.weight, module.bias, *(part for part in statistics if part is not None)]
    return list(module.parameters())


def _optimizer(module: nn.Module, wanted: data.Optimizer, loop: str) -> torch.optim.Optimizer:
    options: dict[str, Any] = {loop: True} if loop else {}
    parameters, rate, epsilon = list(module.parameters()), wanted.learning_rate, wanted.epsilon
    if wanted.name == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, alpha=0.9, eps=epsilon, **options)
    if wanted.name == "adam":
        return torch.optim.Adam(parameters, rate, eps=epsilon, **options)
    return torch.optim.SGD(parameters, rate, momentum=wanted.momentum, **options)
