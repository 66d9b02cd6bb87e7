"""Recurrent layers against naive float64 loops; masks, states, directions, dropout, wrappers and configurations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import deepcore
from deepcore import Input, Model, Sequential, Tensor, constraints, initializers, layers, ops
from deepcore.autograd import gradcheck
from deepcore.ops.recurrent import gru_step, joined_steps, lstm_step, steps_of

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
KINDS = {
    "simple": layers.SimpleRNN,
    "gru": layers.GRU,
    "gru_before": lambda units, **arguments: layers.GRU(units, reset_after=False, **arguments),
    "lstm": layers.LSTM,
}
CELLS = {
    "simple": layers.SimpleRNNCell,
    "gru": layers.GRUCell,
    "gru_before": lambda units, **arguments: layers.GRUCell(units, reset_after=False, **arguments),
    "lstm": layers.LSTMCell,
}
STATES = {"simple": 1, "gru": 1, "gru_before": 1, "lstm": 2}
MASK = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]], bool)


# The oracle: one step, then a loop over steps and sequences


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def naive_step(kind, x, states, weights, act=np.tanh, gate=sigmoid, x_masks=None, h_masks=None):
    """One step for a batch; masks [gates, batch, ...] multiply what each gate sees."""
    kernel, recurrent, *bias = weights
    h = states[0]
    units = h.shape[-1]
    gates = kernel.shape[-1] // units
    blocks = [slice(g * units, (g + 1) * units) for g in range(gates)]
    both = bias[0] if bias else np.zeros(gates * units)
    x_bias, h_bias = both if kind == "gru" and bias else (both, np.zeros(gates * units))
    x_masks = np.ones((gates, 1, 1)) if x_masks is None else x_masks
    h_masks = np.ones((gates, 1, 1)) if h_masks is None else h_masks
    a = [(x * x_masks[g]) @ kernel[:, b] + x_bias[b] for g, b in enumerate(blocks)]
    r = [(h * h_masks[g]) @ recurrent[:, b] + h_bias[b] for g, b in enumerate(blocks)]
    if kind == "simple":
        return [act(a[0] + r[0])]
    if kind == "lstm":
        i, f, o = (gate(a[g] + r[g]) for g in (0, 1, 3))
        c = f * states[1] + i * act(a[2] + r[2])
        return [o * act(c), c]
    z, s = gate(a[0] + r[0]), gate(a[1] + r[1])
    inner = s * r[2] if kind == "gru" else (s * h * h_masks[2]) @ recurrent[:, blocks[2]]
    return [z * h + (1 - z) * act(a[2] + inner)]


def naive(kind, x, weights, units, mask=None, start=None, backwards=False, zero=False, **step):
    """Outputs [batch, steps, units] in the order of computation, and the last states."""
    x = np.float64(x)
    weights = [np.float64(w) for w in weights]
    states = [np.zeros((len(x), units)) for _ in range(STATES[kind])] if start is None else list(map(np.float64, start))
    mask = np.ones(x.shape[:2], bool) if mask is None else mask
    output, outputs = np.zeros((len(x), units)), []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        after = naive_step(kind, x[:, t], states, weights, **step)
        on = mask[:, t, None]
        output = np.where(on, after[0], 0 if zero else output)
        states = [np.where(on, new, old) for new, old in zip(after, states, strict=True)]
        outputs.append(output)
    return np.stack(outputs, 1), states


def filled(layer, x, rng):
    """The layer built for x with random weights, and these."""
    layer.build(x.shape)
    weights = [rng.uniform(-0.8, 0.8, w.shape).astype(np.float32) for w in layer.weights]
    layer.set_weights(weights)
    return weights


def close(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), expected, **TOLERANCE)


@pytest.fixture
def x(rng):
    return rng.standard_normal((4, 4, 3)).astype(np.float32)


def some_states(kind, rng, units=5, batch=4):
    return [rng.standard_normal((batch, units)).astype(np.float32) for _ in range(STATES[kind])]


# Values


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True, "zero"])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_states(kind, masked, backwards, x, rng, device):
    for sequences, given in itertools.product([False, True], repeat=2):
        layer = KINDS[kind](
            5,
            return_sequences=sequences,
            return_state=True,
            go_backwards=backwards,
            zero_output_for_mask=masked == "zero",
        )
        weights = filled(layer, x, rng)
        start = some_states(kind, rng) if given else None
        mask = MASK if masked else None
        output, *states = layer(x, initial_state=start, mask=mask)
        expected, expected_states = naive(kind, x, weights, 5, mask, start, backwards=backwards, zero=masked == "zero")
        close(output, expected if sequences else expected[:, -1])
        assert len(states) == STATES[kind]
        for state, wanted in zip(states, expected_states, strict=True):
            close(state, wanted)
        shapes = layer.compute_output_shape((None, 4, 3))
        assert shapes == ((None, 4, 5) if sequences else (None, 5), *[(None, 5)] * STATES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_activations_bias_and_implementation(kind, x, rng):
    relu = lambda v: np.maximum(v, 0)  # noqa: E731
    cases = [
        ({"activation": "relu"}, {"act": relu}),
        ({"activation": None, "use_bias": False}, {"act": lambda v: v}),
        ({"unroll": True}, {}),
    ]
    if kind != "simple":
        cases.append(({"recurrent_activation": "hard_sigmoid"}, {"gate": lambda v: np.clip(v + 3, 0, 6) / 6}))
        cases.append(({"implementation": 1}, {}))
        cases.append(({"use_cudnn": False}, {}))
    for arguments, step in cases:
        layer = KINDS[kind](5, **arguments)
        weights = filled(layer, x, rng)
        close(layer(x), naive(kind, x, weights, 5, **step)[0][:, -1])


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_makes_one_step(kind, x, rng):
    cell = CELLS[kind](5)
    weights = filled(cell, x[:, 0], rng)
    states = some_states(kind, rng)
    output, after = cell(x[:, 0], states)
    expected = naive_step(kind, np.float64(x[:, 0]), states, weights)
    close(output, expected[0])
    for state, wanted in zip(after, expected, strict=True):
        close(state, wanted)
    run = layers.RNN(cell, return_sequences=True)
    close(run(x), naive(kind, x, weights, 5)[0])
    if kind != "lstm":  # a state that is not in a list comes back as it is given
        _, alone = cell(x[:, 0], states[0])
        close(alone, expected[0])
    assert [s.shape for s in cell.get_initial_state(batch_size=3)] == [(3, 5)] * STATES[kind]


def test_weights_are_kerass():
    expected = {
        "simple": [("kernel", (3, 5)), ("recurrent_kernel", (5, 5)), ("bias", (5,))],
        "gru": [("kernel", (3, 15)), ("recurrent_kernel", (5, 15)), ("bias", (2, 15))],
        "gru_before": [("kernel", (3, 15)), ("recurrent_kernel", (5, 15)), ("bias", (15,))],
        "lstm": [("kernel", (3, 20)), ("recurrent_kernel", (5, 20)), ("bias", (20,))],
    }
    for kind, make in KINDS.items():
        layer = make(5, name=f"{kind}_weights")
        layer.build((None, 4, 3))
        assert [(w.name, w.shape) for w in layer.weights] == expected[kind]
        cell = {"simple": "simple_rnn_cell", "lstm": "lstm_cell"}.get(kind, "gru_cell")
        assert layer.weights[0].path == f"{kind}_weights/{cell}/kernel"
        assert layer.get_build_config() == {"input_shape": (None, 4, 3)}
        rows = layer.weights[1].numpy()
        np.testing.assert_allclose(rows @ rows.T, np.eye(5), atol=1e-5)


def test_the_forget_gates_bias_starts_from_one():
    for forget in (True, False):
        layer = layers.LSTM(2, unit_forget_bias=forget, bias_initializer=initializers.Constant(0.5))
        layer.build((None, 4, 3))
        ones = [1.0, 1.0] if forget else [0.5, 0.5]
        assert layer.cell.bias.tolist() == [0.5, 0.5, *ones, 0.5, 0.5, 0.5, 0.5]


def test_orthogonal_weights():
    for shape in [(6, 4), (4, 6), (2, 3, 4)]:
        w = np.asarray(initializers.Orthogonal(gain=2.0, seed=3)(shape)).reshape(-1, shape[-1])
        product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)
    with pytest.raises(ValueError, match=r"rank 2 or more; got the shape \(3,\)"):
        initializers.Orthogonal()((3,))


# Gradients


@pytest.mark.parametrize(("step", "gates"), [(lstm_step, 4), (gru_step, 3)])
def test_gradients_of_a_fused_step_of_every_order(step, gates, rng):
    inputs = [rng.standard_normal((2, 2 * gates)), rng.standard_normal((2, 2 * gates)), rng.standard_normal((2, 2))]
    assert gradcheck(step, inputs, order=3, rtol=1e-4)


def test_a_fused_step_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"gru_step: 3 gates of shape \(2, 6\).*state of shape \(2, 2\); got \(2, 3\)"):
        gru_step(Tensor(np.ones((2, 6))), Tensor(np.ones((2, 6))), Tensor(np.ones((2, 3))))


@pytest.mark.parametrize("axis", [0, 1])
def test_gradients_of_steps_cut_and_joined(axis, rng):
    data = rng.standard_normal((3, 3, 2))
    for i, part in enumerate(steps_of(Tensor(data), axis)):
        np.testing.assert_array_equal(part.numpy(), data.take(i, axis))
    assert gradcheck(lambda v: steps_of(v, axis)[0] * steps_of(v, axis)[2], [data], order=2)
    assert gradcheck(lambda v: joined_steps([p * p for p in steps_of(v, axis)][::-1], 1), [data], order=2)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("simple", {}),
        ("simple", {"activation": "softplus"}),
        ("gru", {}),
        ("gru", {"activation": "softplus"}),
        ("gru_before", {}),
        ("lstm", {}),
        ("lstm", {"recurrent_activation": "tanh"}),
        ("lstm", {"implementation": 1, "dropout": 0.4}),
        ("gru", {"recurrent_dropout": 0.4}),
        ("gru_before", {"recurrent_dropout": 0.4}),
    ],
)
def test_gradients_of_layers(kind, arguments, rng):
    """With respect to sequences, states and weights, with a mask, by moving each element of each."""
    layer = KINDS[kind](2, return_sequences=True, return_state=True, dtype="float64", seed=1, **arguments)
    data, mask = rng.standard_normal((2, 3, 2)), np.array([[True, True, True], [False, True, False]])
    layer.build(data.shape)
    start = [s.astype(np.float64) for s in some_states(kind, rng, units=2, batch=2)]
    weights = [rng.standard_normal(w.shape) for w in layer.weights]
    names = [w.name for w in layer.weights]

    def run(point, *rest):
        for name, value in zip(names, rest[len(start) :], strict=True):
            setattr(layer.cell, name, value)
        layer.cell.seed_generator.offset = 0  # the same dropout masks every time
        return layer(point, initial_state=list(rest[: len(start)]), mask=mask, training=True)

    assert gradcheck(run, [data, *start, *weights])


# Masks that travel


class Marks(layers.Layer):
    """Passes its input on, with a mask that is false where all features are zero."""

    def call(self, inputs):
        return inputs * 1.0

    def compute_mask(self, inputs, previous_mask):
        return ops.any(ops.not_equal(inputs, 0.0), axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_masks_arrive_and_go_on(x, rng):
    marked = x * MASK[..., None]
    for layer in (layers.LSTM(5, return_sequences=True, return_state=True), layers.RNN(layers.LSTMCell(5), True, True)):
        weights = filled(layer, x, rng)
        output, h, c = layer(Marks()(marked))
        close(output, naive("lstm", marked, weights, 5, MASK)[0])
        np.testing.assert_array_equal(output.mask.numpy(), MASK)
        assert h.mask is None
        assert c.mask is None
    last = layers.GRU(5)(Marks()(marked))
    assert last.mask is None
    inputs = Input((4, 3))
    model = Model(inputs, layers.GRU(2)(layers.LSTM(5, return_sequences=True)(Marks()(inputs))))
    first, second = model.layers[-2:]
    between = naive("lstm", marked, first.get_weights(), 5, MASK)[0]
    close(model(marked), naive("gru", between, second.get_weights(), 2, MASK)[0][:, -1])


# States from batch to batch


@pytest.mark.parametrize("kind", KINDS)
def test_a_stateful_layer_goes_on_where_it_ended(kind, rng):
    data = rng.standard_normal((2, 6, 3)).astype(np.float32)
    layer = KINDS[kind](5, stateful=True, return_sequences=True)
    weights = filled(layer, data, rng)
    assert len(layer.weights) == 3
    assert [s.shape for s in layer.states] == [(2, 5)] * STATES[kind]
    whole, states = naive(kind, data, weights, 5)
    for part in (slice(0, 2), slice(2, 6)):
        y = layer(data[:, part])
        close(y, whole[:, part])
        ops.sum(y).backward()
    for state, expected in zip(layer.states, states, strict=True):
        close(state, expected)
    layer.reset_state()
    close(layer(data), whole)
    layer.reset_states()
    assert not any(state.numpy().any() for state in layer.states)
    given = some_states(kind, rng, batch=2)
    close(layer(data, initial_state=given), naive(kind, data, weights, 5, start=given)[0])
    with pytest.raises(ValueError, match=r"batch before, which had 2 sequences; got 1"):
        layer(data[:1])


def test_a_stateful_layer_must_know_its_batch(x):
    with pytest.raises(ValueError, match=r"must know the batch size.*\(None, 4, 3\).*batch_shape"):
        layers.LSTM(5, stateful=True)(Input((4, 3)))
    model = Sequential([Input(batch_shape=(2, 4, 3)), layers.LSTM(5, stateful=True), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((4, 1)), batch_size=2, shuffle=False, verbose=0)
    assert model.layers[0].states[0].numpy().all()
    assert layers.LSTM(3).states is None
    layers.LSTM(3).reset_state()  # nothing to forget


# Dropout


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5), (0.5, 0.3)])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_masks_are_the_same_in_all_steps(kind, rates, implementation, x, rng, device):
    arguments = {} if kind == "simple" else {"implementation": implementation}
    layer = KINDS[kind](5, dropout=rates[0], recurrent_dropout=rates[1], seed=11, return_sequences=True, **arguments)
    weights = filled(layer, x, rng)
    twin = CELLS[kind](5, dropout=rates[0], recurrent_dropout=rates[1], seed=11, **arguments)
    x_masks, h_masks = twin.get_dropout_mask(Tensor(x[:, 0])), twin.get_recurrent_dropout_mask(Tensor(np.ones((4, 5))))
    gates = weights[0].shape[1] // 5
    each = kind != "simple" and (implementation == 1 or rates[1] > 0)
    step = {}
    for name, masks, rate, size in (("x_masks", x_masks, rates[0], 3), ("h_masks", h_masks, rates[1], 5)):
        if rate == 0:
            assert masks is None
            continue
        assert masks.shape == ((gates, 4, size) if each else (4, size))
        assert set(np.unique(masks.numpy().round(4))) <= {0.0, round(1 / (1 - rate), 4)}
        step[name] = np.broadcast_to(masks.numpy(), (gates, 4, size))
    close(layer(x, training=True), naive(kind, x, weights, 5, **step)[0])
    again = layer(x, training=True).numpy()  # other masks for another batch
    assert not np.allclose(again, naive(kind, x, weights, 5, **step)[0], atol=1e-3)
    close(layer(x), naive(kind, x, weights, 5)[0])


def test_a_cell_keeps_its_masks_until_they_are_forgotten(x):
    cell = layers.LSTMCell(64, dropout=0.5, recurrent_dropout=0.5)
    states = cell.get_initial_state(4)
    first, _ = cell(x[:, 0], states, training=True)
    second, _ = cell(x[:, 0], states, training=True)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    third, _ = cell(x[:, 0], states, training=True)
    assert not np.array_equal(first.numpy(), third.numpy())


def test_rates_are_held_between_zero_and_one(x, rng):
    assert layers.LSTM(2, dropout=3.0).dropout == 1.0
    assert layers.GRU(2, recurrent_dropout=-1.0).recurrent_dropout == 0.0
    layer = layers.SimpleRNN(5, dropout=1.0)
    weights = filled(layer, x, rng)
    close(layer(x, training=True), naive("simple", 0 * x, weights, 5)[0][:, -1])
    for kind in ("gru", "lstm"):  # as Keras has it
        layer = KINDS[kind](5, dropout=1.0)
        weights = filled(layer, x, rng)
        close(layer(x, training=True), naive(kind, x, weights, 5)[0][:, -1])


# Cells of one's own, and cells on top of each other


class Decay:
    """A cell that is no layer: keeps a running mean and counts its steps."""

    state_size = (3, 1)

    def call(self, inputs, states):
        mean = 0.5 * states[0] + inputs
        return mean, [mean, states[1] + 1.0]


class Scaled(layers.Layer):
    """A cell that starts from twos, with a single state outside of a list."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.output_size = 2 * units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "ones", name="kernel")

    def call(self, inputs, states, training=False):
        state = states[0] + ops.matmul(inputs, self.kernel)
        return ops.concatenate([state, state * (10.0 if training else 1.0)], axis=-1), state

    def get_initial_state(self, batch_size):
        return ops.ones_like(Tensor(np.ones((batch_size, self.units), np.float32))) * 2.0


def test_cells_of_ones_own(x):
    output, mean, count = layers.RNN(Decay(), return_state=True, return_sequences=True)(x, mask=MASK)
    expected, steps = np.zeros((4, 3)), np.zeros((4, 1))
    for t in range(4):
        expected = np.where(MASK[:, t, None], 0.5 * expected + x[:, t], expected)
        steps += MASK[:, t, None]
        close(output[:, t], expected)
    close(mean, expected)
    close(count, steps)
    layer = layers.RNN(Scaled(2, name="scaled"), name="run")
    total = 2 + x.sum((1, 2))[:, None] * np.ones(2)
    close(layer(x), np.concatenate([total, total], 1))
    close(layer(x, training=True), np.concatenate([total, 10 * total], 1))
    assert layer.compute_output_shape((None, 7, 3)) == (None, 4)
    assert [w.path for w in layer.weights] == ["run/scaled/kernel"]


def test_a_cell_computes_in_its_own_dtype(x, rng):
    layer = layers.RNN(layers.LSTMCell(5, dtype="float64"), return_state=True)
    weights = filled(layer, x, rng)
    start = some_states("lstm", rng)
    y, h, c = layer(x, initial_state=start)
    expected, states = naive("lstm", x, weights, 5, start=start)
    assert {t.dtype for t in (y, h, c)} == {np.dtype("float32")}
    for found, wanted in ((y, expected[:, -1]), (h, states[0]), (c, states[1])):
        np.testing.assert_allclose(found.numpy(), np.float32(wanted), rtol=2e-7)  # one rounding, at the end
    ops.sum(y).backward()
    assert {w.grad.dtype for w in layer.weights} == {np.dtype("float64")}


class Doubled(layers.LSTMCell):
    """A cell of this package with another ``call``."""

    def call(self, inputs, states, training=False):
        output, after = super().call(inputs, states, training)
        return output * 2.0, after


def test_a_cell_of_this_package_with_another_call_is_asked(x, rng):
    layer = layers.RNN(Doubled(5, recurrent_dropout=0.5, seed=2), return_sequences=True)
    weights = filled(layer, x, rng)
    close(layer(x), 2 * naive("lstm", x, weights, 5)[0])
    masks = layers.LSTMCell(5, recurrent_dropout=0.5, seed=2).get_recurrent_dropout_mask(Tensor(np.ones((4, 5))))
    close(layer(x, training=True), 2 * naive("lstm", x, weights, 5, h_masks=masks.numpy())[0])


def test_stacked_cells_are_layers_one_after_the_other(x, rng):
    cells = [layers.LSTMCell(5), layers.GRUCell(4), layers.SimpleRNNCell(2)]
    layer = layers.RNN(cells, return_sequences=True, return_state=True)
    weights = filled(layer, x, rng)
    for mask in (None, MASK):
        first, first_states = naive("lstm", x, weights[:3], 5, mask)
        second, second_states = naive("gru", first, weights[3:6], 4, mask)
        third, third_states = naive("simple", second, weights[6:], 2, mask)
        output, *states = layer(x, mask=mask)
        close(output, third)
        for found, expected in zip(states, (first_states, second_states, third_states), strict=True):
            for a, b in zip(found, expected, strict=True):
                close(a, b)
    assert layer.cell.state_size == [[5, 5], 4, 2]
    assert layer.cell.output_size == 2
    shapes = layer.compute_output_shape((None, 4, 3))
    assert shapes == ((None, 4, 2), [(None, 5), (None, 5)], (None, 4), (None, 2))
    single = layers.RNN([layers.LSTMCell(5)])
    weights = filled(single, x, rng)
    close(single(x), naive("lstm", x, weights, 5)[0][:, -1])
    mixed = layers.RNN([Decay(), layers.SimpleRNNCell(2)])
    assert mixed(x).shape == (4, 2)


# Both directions


@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "concat", None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_bidirectional(mode, sequences, masked, x, rng):
    merge = {
        "sum": lambda a, b: [a + b],
        "mul": lambda a, b: [a * b],
        "ave": lambda a, b: [(a + b) / 2],
        "concat": lambda a, b: [np.concatenate([a, b], -1)],
        None: lambda a, b: [a, b],
    }[mode]
    mask = MASK if masked else None
    for kind, state in itertools.product(("lstm", "gru"), (False, True)):
        inner = KINDS[kind](5, return_sequences=sequences, return_state=state)
        layer = layers.Bidirectional(inner, merge_mode=mode)
        weights = filled(layer, x, rng)
        start = some_states(kind, rng) + some_states(kind, rng)
        half = len(start) // 2
        arguments = {"mask": mask, "zero": sequences}
        y, states = naive(kind, x, weights[:3], 5, start=start[:half], **arguments)
        reverse, last = naive(kind, x, weights[3:], 5, start=start[half:], backwards=True, **arguments)
        expected = merge(y, reverse[:, ::-1]) if sequences else merge(y[:, -1], reverse[:, -1])
        expected += [*states, *last] if state else []
        found = layer(x, initial_state=start, mask=mask)
        found = list(found) if isinstance(found, tuple) else [found]
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            close(a, b)
        shapes = layer.compute_output_shape((None, 4, 3))
        shapes = [shapes] if len(expected) == 1 else list(shapes)
        assert shapes == [(None, *b.shape[1:]) for b in expected]
        if masked and sequences:
            outputs = found[: len(found) - 2 * half * state]
            assert all(np.array_equal(y.mask.numpy(), MASK) for y in outputs)
        assert len(layer.weights) == 6


def test_bidirectional_makes_layers_of_its_own(x, rng):
    inner = layers.LSTM(5, stateful=True, name="inner", use_cudnn=False)
    layer = layers.Bidirectional(inner, name="both")
    weights = filled(layer, x, rng)
    assert layer.forward_layer is not inner
    assert (layer.forward_layer.name, layer.backward_layer.name) == ("forward_inner", "backward_inner")
    assert layer.weights[3].path == "both/backward_inner/lstm_cell/kernel"
    assert layer.backward_layer.use_cudnn is False
    twice = np.concatenate([x, x], 1)
    layer(x)
    forward = naive("lstm", twice, weights[:3], 5)[0][:, -1]
    backward = naive("lstm", twice, weights[3:], 5, backwards=True)[0][:, -1]
    close(layer(x), np.concatenate([forward, backward], 1))
    assert len(layer.states) == 4
    layer.reset_state()
    assert not any(state.numpy().any() for state in layer.states)
    other = layers.Bidirectional(layers.LSTM(5), backward_layer=layers.GRU(2, go_backwards=True), weights=None)
    weights = filled(other, x, rng)
    forward, backward = naive("lstm", x, weights[:3], 5)[0], naive("gru", x, weights[3:], 2, backwards=True)[0]
    close(other(x), np.concatenate([forward[:, -1], backward[:, -1]], 1))
    given = layers.Bidirectional(layers.SimpleRNN(2), weights=[np.full(s, 0.1) for s in [(3, 2), (2, 2), (2,)] * 2])
    given.build((None, 4, 3))
    assert all((w.numpy() == np.float32(0.1)).all() for w in given.weights)


# The same layer in every step


def test_time_distributed(x, rng):
    layer = layers.TimeDistributed(layers.Dense(6, activation="tanh"))
    kernel, bias = filled(layer, x, rng)
    y = layer(Marks()(x * MASK[..., None]))
    close(y, np.tanh((x * MASK[..., None]) @ kernel + bias))
    np.testing.assert_array_equal(y.mask.numpy(), MASK)
    images = rng.standard_normal((2, 3, 6, 5, 2)).astype(np.float32)
    inner = layers.Conv2D(4, 3, padding="same")
    layer = layers.TimeDistributed(inner)
    filled(layer, images, rng)
    close(layer(images, mask=np.ones((2, 3), bool)), np.stack([inner(images[:, t]).numpy() for t in range(3)], 1))
    assert layer.compute_output_shape((None, None, 6, 5, 2)) == (None, None, 6, 5, 4)
    drawn = layer(Input((None, 6, 5, 2)))
    assert drawn.shape == (None, None, 6, 5, 4)


def test_time_distributed_normalises_each_step_by_itself(x):
    layer = layers.TimeDistributed(layers.BatchNormalization(momentum=0.5))
    wide = np.float64(x)
    expected = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-3)
    close(layer(x, training=True), expected)
    moving = np.zeros(3)
    for t in range(4):
        moving = 0.5 * moving + 0.5 * wide[:, t].mean(0)
    close(layer.layer.moving_mean, moving)
    close(layer(x), (wide - moving) / np.sqrt(layer.layer.moving_variance.numpy() + 1e-3))


class OverBatch(layers.Layer):
    """Subtracts the mean over the batch, and where the mask of a step is false gives zeros."""

    def call(self, inputs, mask=None):
        y = inputs - ops.mean(inputs, axis=0, keepdims=True)
        return y if mask is None else y * ops.expand_dims(ops.cast(mask, y.dtype), -1)


def test_time_distributed_shows_unknown_layers_one_step_at_a_time(x):
    layer = layers.TimeDistributed(OverBatch())
    close(layer(x), x - x.mean(0))
    close(layer(x, mask=MASK), (x - x.mean(0)) * MASK[..., None])
    nested = layers.TimeDistributed(Sequential([layers.Dense(3, kernel_initializer="ones"), OverBatch()]))
    summed = x.sum(-1, keepdims=True) * np.ones(3)
    close(nested(x), summed - summed.mean(0))
    inputs = Input((3,))
    drawn = layers.TimeDistributed(Model(inputs, inputs - ops.mean(inputs, axis=0, keepdims=True)))
    close(drawn(x), x - x.mean(0))
    sizes = []

    class Counts(layers.Dense):
        def call(self, x):
            sizes.append(x.shape)
            return super().call(x)

    layers.registry.register()(Counts)
    try:
        layers.TimeDistributed(Sequential([Counts(2)]))(x)
    finally:
        for name in ("Counts", "counts"):
            del layers.registry.entries[name]
    assert sizes == [(16, 3)]


# In functional models


def test_states_are_passed_symbolically(rng):
    source, target = Input((None, 3)), Input((4, 2))
    _, h, c = layers.LSTM(5, return_state=True, name="encoder")(source)
    decoder = layers.LSTM(5, return_sequences=True, name="decoder")
    model = Model([source, target], layers.Dense(1)(decoder(target, initial_state=[h, c])))
    a = rng.standard_normal((3, 6, 3)).astype(np.float32)
    b = rng.standard_normal((3, 4, 2)).astype(np.float32)
    _, states = naive("lstm", a, model.get_layer("encoder").get_weights(), 5)
    decoded = naive("lstm", b, decoder.get_weights(), 5, start=states)[0]
    kernel, bias = model.layers[-1].get_weights()
    close(model([a, b]), decoded @ kernel + bias)
    assert model.output_shape == (None, 4, 1)
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again([a, b]).numpy(), model([a, b]).numpy())
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit([a, b], np.ones((3, 4, 1)), epochs=2, verbose=0)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


def test_a_bidirectional_network_learns(rng):
    """Whether a sequence begins and ends with the same sign: neither direction alone can know at its first step."""
    deepcore.random.set_seed(3)
    data = rng.standard_normal((128, 6, 1)).astype(np.float32)
    labels = (data[:, 0, 0] * data[:, -1, 0] > 0).astype(np.float32)[:, None]
    model = Sequential(
        [
            Input((6, 1)),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.Bidirectional(layers.GRU(8)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(deepcore.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(data, labels, epochs=30, batch_size=32, verbose=0).history
    assert history["accuracy"][-1] > 0.85
    assert history["loss"][-1] < history["loss"][0] / 2


# Configurations


ARGUMENTS = {
    "units": 3,
    "activation": "relu",
    "use_bias": False,
    "kernel_initializer": {"class_name": "HeNormal", "config": {"seed": 4}},
    "recurrent_initializer": "glorot_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l1",
    "recurrent_regularizer": "l2",
    "bias_regularizer": "l1",
    "dropout": 0.25,
    "recurrent_dropout": 0.5,
    "seed": 7,
}
OF_LAYERS = {
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "zero_output_for_mask": True,
    "activity_regularizer": "l2",
    "name": "changed",
    "trainable": False,
}
GATED = {"recurrent_activation": "hard_sigmoid"}


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (layers.SimpleRNNCell, ARGUMENTS),
        (layers.GRUCell, {**ARGUMENTS, **GATED, "reset_after": False}),
        (layers.LSTMCell, {**ARGUMENTS, **GATED, "unit_forget_bias": False}),
        (layers.SimpleRNN, {**ARGUMENTS, **OF_LAYERS}),
        (layers.GRU, {**ARGUMENTS, **OF_LAYERS, **GATED, "reset_after": False}),
        (layers.LSTM, {**ARGUMENTS, **OF_LAYERS, **GATED, "unit_forget_bias": False}),
    ],
)
def test_configurations_say_what_was_given(make, arguments):
    layer = make(**arguments)
    config = layer.get_config()
    assert "cell" not in config
    for name, given in arguments.items():
        if name.endswith(("initializer", "regularizer")):
            spelled = {"HeNormal": "HeNormal", "glorot_normal": "GlorotNormal", "ones": "Ones", "l1": "L1", "l2": "L2"}
            wanted = spelled[given["class_name"] if isinstance(given, dict) else given]
            assert config[name]["class_name"] == wanted
        else:
            assert config[name] == given
    again = layers.deserialize(layers.serialize(layer))
    assert type(again) is make
    assert again.get_config() == config


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RNN(layers.LSTMCell(3), return_sequences=True, zero_output_for_mask=True),
        lambda: layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], go_backwards=True),
        lambda: layers.StackedRNNCells([layers.LSTMCell(3, seed=1)]),
        lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="ave"),
        lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.GRU(2, go_backwards=True), merge_mode=None),
        lambda: layers.TimeDistributed(layers.Dense(3, activation="relu")),
        lambda: layers.TimeDistributed(layers.Bidirectional(layers.LSTM(3))),
    ],
)
def test_configurations_of_layers_within_layers(make, x):
    layer = make()
    config = layer.get_config()
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == config == layer.get_config()
    if isinstance(layer, layers.StackedRNNCells):
        return
    data = np.ones((2, 4, 5, 3), np.float32) if "Bidirectional" in str(config.get("layer", {}).get("class_name")) else x
    expected = layer(data)
    again.build_from_config(layer.get_build_config())
    again.set_weights(layer.get_weights())
    for ours, theirs in zip(*(v if isinstance(v, tuple) else [v] for v in (again(data), expected)), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_custom_cells_are_named_where_they_are_read(x):
    class Named(Scaled):
        def get_config(self):
            return {**super().get_config(), "units": self.units}

    layer = layers.RNN([Named(2)])
    known = {"Named": Named}
    with pytest.raises(TypeError, match=r"Could not locate .*Named"):
        layers.RNN.from_config(layer.get_config())
    inner = layers.StackedRNNCells.from_config(layer.cell.get_config(), custom_objects=known)
    again = layers.RNN.from_config(layers.RNN(Named(2)).get_config(), custom_objects=known)
    np.testing.assert_array_equal(layers.RNN(inner)(x).numpy(), again(x).numpy())


def test_regularizers_and_constraints_reach_the_weights(x):
    layer = layers.LSTM(
        2, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l1", activity_regularizer="l2"
    )
    y = layer(x).numpy()
    kernel, recurrent, bias = layer.get_weights()
    expected = [
        0.01 * (y**2).sum() / len(x),
        0.01 * (kernel**2).sum(),
        0.01 * abs(recurrent).sum(),
        0.01 * abs(bias).sum(),
    ]
    np.testing.assert_allclose([float(loss) for loss in layer.losses], expected, rtol=1e-5)
    layer = layers.GRU(2, kernel_constraint="max_norm", recurrent_constraint="unit_norm", bias_constraint="non_neg")
    layer.build((None, 4, 3))
    kinds = [type(w.constraint) for w in layer.weights]
    assert kinds == [constraints.MaxNorm, constraints.UnitNorm, constraints.NonNeg]
    assert layers.GRU.from_config(layer.get_config()).get_config() == layer.get_config()


# What is refused


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: layers.LSTM(0), ValueError, "units must be a positive integer; got units=0"),
        (lambda: layers.GRUCell(-2), ValueError, "units must be a positive integer; got units=-2"),
        (lambda: layers.LSTM("3"), TypeError, "units must be a positive integer; got units='3'"),
        (lambda: layers.LSTM(2.5), ValueError, "units must be a positive integer; got units=2.5"),
        (
            lambda: layers.LSTMCell(3)(np.ones((2, 4), np.float32), [np.ones((2, 3), np.float32)]),
            ValueError,
            r"states of sizes \[3, 3\]; got 1 of them",
        ),
        (lambda: layers.SimpleRNN(3, activation="tan"), ValueError, "Unknown activation 'tan'.*tanh"),
        (lambda: layers.GRU(3, units_of="x"), ValueError, "GRU does not know the argument 'units_of'"),
        (lambda: layers.LSTM(3, use_cudnn="yes"), ValueError, "use_cudnn must be .*got use_cudnn='yes'"),
        (lambda: layers.RNN(3), ValueError, r"must have a method call\(inputs, states\); got 3"),
        (lambda: layers.RNN(layers.Dense(3)), ValueError, "must have state_size.*got <Dense"),
        (lambda: layers.RNN(type("C", (), {"call": 1, "state_size": "5"})()), ValueError, "must be an integer.*'5'"),
        (lambda: layers.StackedRNNCells([3]), ValueError, "each cell must have a method call.*got 3"),
        (lambda: layers.StackedRNNCells([layers.Dense(3)]), ValueError, "each cell must have state_size"),
        (lambda: layers.Wrapper(3), ValueError, "Wrapper: layer must be a layer; got 3"),
        (lambda: layers.TimeDistributed(layers.Dense), ValueError, r"must be a layer.*Make one of it: Dense\("),
        (lambda: layers.Bidirectional("lstm"), ValueError, "layer must be a layer; got 'lstm'"),
        (lambda: layers.Bidirectional(layers.Dense(3)), TypeError, "have 'go_backwards'; got <Dense"),
        (lambda: layers.Bidirectional(layers.LSTM(3), "add"), ValueError, "merge_mode must be one of 'sum'.*'add'"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=3),
            ValueError,
            "backward_layer must be a layer; got 3",
        ),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
            ValueError,
            "opposite ways; both have go_backwards=False",
        ),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(3), backward_layer=layers.LSTM(3, return_state=True, go_backwards=True)
            ),
            ValueError,
            "agree in return_state; got return_state=False and return_state=True",
        ),
        (lambda: layers.Bidirectional(layers.LSTM(3)).reset_state(), AttributeError, "not stateful"),
    ],
)
def test_wrong_arguments_are_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "call", "message"),
    [
        (layers.LSTM, (5, 3), {}, "expected an input of rank 3"),
        (layers.LSTM, (2, 0, 3), {}, r"at least one step; got shape \(2, 0, 3\)"),
        (layers.LSTM, (2, 5, 3), {"initial_state": [np.zeros((2, 4))]}, r"2 states of sizes \[4, 4\]; got 1"),
        (layers.GRU, (2, 5, 3), {"initial_state": np.zeros((2, 3))}, r"must have shape \(2, 4\); got \(2, 3\)"),
        (layers.SimpleRNN, (2, 5, 3), {"mask": np.ones((2, 4), bool)}, r"\(2, 5\).*got shape \(2, 4\)"),
        (lambda n: layers.TimeDistributed(layers.Dense(n)), (5, 3), {}, r"rank 3 or more; got shape \(5, 3\)"),
        (
            lambda n: layers.TimeDistributed(layers.Dense(n)),
            (2, 5, 3),
            {"mask": np.ones((2, 4), bool)},
            r"\(2, 5\) for inputs.*got shape \(2, 4\)",
        ),
        (
            lambda n: layers.TimeDistributed(layers.Dense(n)),
            (2, 5, 3),
            {"mask": np.ones((2,), bool)},
            r"got shape \(2,\)",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, call, message):
    with pytest.raises(ValueError, match=message):
        layer(4)(np.zeros(shape, np.float32), **call)


def test_another_number_of_features_is_refused(x):
    layer = layers.LSTM(4)
    layer(x)
    with pytest.raises(ValueError, match="expected size 3 on axis -1 of its input, got 2"):
        layer(x[..., :2])
    with pytest.raises(AttributeError, match="'LSTM' object has no attribute 'unit'"):
        _ = layer.unit
    assert (layer.units, layer.use_bias, layer.unit_forget_bias) == (4, True, True)


def test_one_state_for_all_sequences_is_repeated(x, rng):
    layer = layers.GRU(5)
    weights = filled(layer, x, rng)
    start = rng.standard_normal((1, 5)).astype(np.float32)
    close(layer(x, initial_state=start), naive("gru", x, weights, 5, start=[np.repeat(start, 4, 0)])[0][:, -1])
