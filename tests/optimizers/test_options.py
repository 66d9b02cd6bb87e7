"""What optimizers can do beside their rule: decay, clipping, averages, gathered gradients, states and copies."""

from __future__ import annotations

import copy
import pickle
from unittest import mock

import numpy as np
import pytest

from deepcore import Variable, layers, models, ops, optimizers
from deepcore.backend.cuda import carrier
from deepcore.device import use_device
from deepcore.kernels.emulator import has_compiler

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

SHAPES = [(3, 4), (4,), (), (2, 1, 5)]
RULES = {
    "sgd": lambda **options: optimizers.SGD(0.1, **options),
    "nesterov": lambda **options: optimizers.SGD(0.1, momentum=0.9, nesterov=True, **options),
    "adagrad": lambda **options: optimizers.Adagrad(0.1, **options),
    "adadelta": lambda **options: optimizers.Adadelta(0.1, **options),
    "rmsprop": lambda **options: optimizers.RMSprop(0.1, momentum=0.5, centered=True, epsilon=1e-3, **options),
    "adam": lambda **options: optimizers.Adam(0.1, **options),
    "amsgrad": lambda **options: optimizers.Adam(0.1, amsgrad=True, **options),
    "adamax": lambda **options: optimizers.Adamax(0.1, **options),
    "nadam": lambda **options: optimizers.Nadam(0.1, **options),
    "lion": lambda **options: optimizers.Lion(0.1, **options),
    "ftrl": lambda **options: optimizers.Ftrl(0.1, beta=0.5, l1_regularization_strength=0.1, **options),
    "lamb": lambda **options: optimizers.Lamb(0.1, **options),
    "adafactor": lambda **options: optimizers.Adafactor(0.1, **options),
}


def starts(rng):
    return [rng.standard_normal(shape) for shape in SHAPES]


def variables(values, dtype="float64"):
    return [Variable(np.asarray(w, dtype), name=f"w{i}") for i, w in enumerate(values)]


def step(optimizer, weights, gradients):
    optimizer.apply_gradients(zip(gradients, weights, strict=True))


def values(weights):
    return [v.numpy() for v in weights]


def check(actual, expected, tolerance=1e-10):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", RULES)
def test_decay_clipping_averages_and_gathering_around_the_rule(rule, rng):
    """Everything at once is the bare rule given what these options, by formula, make of weights and gradients."""
    decay, clip, momentum, scale = 0.05, 0.7, 0.8, 4.0
    rate = float(np.float32(0.1))
    made = RULES[rule](
        weight_decay=decay,
        global_clipnorm=clip,
        use_ema=True,
        ema_momentum=momentum,
        ema_overwrite_frequency=3,
        loss_scale_factor=scale,
        gradient_accumulation_steps=2,
    )
    made.exclude_from_weight_decay(var_names=["w1"])
    bare, first = RULES[rule](), starts(rng)
    weights, reference = variables(first), variables(first)
    average = [np.zeros(shape) for shape in SHAPES]
    for count in range(1, 9):
        gradients = starts(rng)
        step(made, weights, [scale * g for g in gradients])
        if count % 2:
            half = gradients
        else:
            mean = [(a + b) / 2 for a, b in zip(half, gradients, strict=True)]
            norm = np.sqrt(sum((g * g).sum() for g in mean))
            for i, v in enumerate(reference):
                v.assign(v.numpy() * (1 if i == 1 else 1 - decay * rate))
            step(bare, reference, [g * min(1, clip / norm) for g in mean])
        done = (count - 1) // 2
        keep = momentum if done else 0.0
        average = [keep * a + (1 - keep) * v.numpy() for a, v in zip(average, reference, strict=True)]
        if (done + 1) % 3 == 0:
            for v, a in zip(reference, average, strict=True):
                v.assign(a)
        check(values(weights), values(reference))
    check(values(made._model_variables_moving_average), average)
    assert (int(made.iterations), int(made._iterations), int(bare.iterations)) == (4, 8, 4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", [{"clipvalue": 0.3}, {"clipnorm": 0.5}], ids=["value", "norm"])
def test_each_gradient_clipped_before_the_rule(rule, options, rng):
    def clipped(g):
        return np.clip(g, -0.3, 0.3) if "clipvalue" in options else g * min(1, 0.5 / np.linalg.norm(g))

    made, bare, first = RULES[rule](loss_scale_factor=2.0, **options), RULES[rule](), starts(rng)
    weights, reference = variables(first), variables(first)
    for _ in range(3):
        gradients = starts(rng)
        step(made, weights, [2 * g for g in gradients])
        step(bare, reference, [clipped(g) for g in gradients])
    check(values(weights), values(reference))


@pytest.mark.parametrize("rule", RULES)
def test_a_stored_state_goes_on_where_it_was(rule, rng):
    options = {"use_ema": True, "gradient_accumulation_steps": 2}
    first, made = starts(rng), RULES[rule](**options)
    weights, gradients = variables(first, "float32"), [starts(rng) for _ in range(6)]
    for of_step in gradients[:3]:
        step(made, weights, of_step)
    store = {}
    made.save_own_variables(store)
    again = type(made).from_config(made.get_config())
    loaded = variables(values(weights), "float32")
    again.build(loaded)
    again.load_own_variables(store)
    remade, copied = pickle.loads(pickle.dumps((made, weights))), copy.deepcopy((made, weights))
    everyone = [(made, weights), (again, loaded), remade, copied]
    for of_step in gradients[3:]:
        for optimizer, its in everyone:
            step(optimizer, its, of_step)
    for optimizer, its in everyone[1:]:
        check(values(its), values(weights), 0)
        check(values(optimizer.variables), values(made.variables), 0)


def test_a_norm_without_a_finite_value_makes_every_gradient_nan():
    weights = variables([[1.0, 2.0], [3.0]])
    step(optimizers.SGD(1.0, global_clipnorm=1.0), weights, [np.array([np.inf, 1.0]), np.array([1.0])])
    assert all(np.isnan(w).all() for w in values(weights))
    step(optimizers.SGD(1.0, global_clipnorm=1.0), still := variables([[1.0, 2.0]]), [np.zeros(2)])
    assert still[0].tolist() == [1.0, 2.0]


@pytest.mark.skipif(not has_compiler(), reason="needs the emulator")
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in ("lamb", "adafactor")])
def test_a_step_is_one_launch_however_many_weights_there_are(rule, rng):
    def launches(count, **options):
        optimizer = RULES[rule](**options)
        with use_device("emulator"):
            weights = variables([[1.0, 2.0, 3.0] for _ in range(count)], "float32")
            gradients = [ops.ones(3) for _ in weights]
            step(optimizer, weights, gradients)
            seen = []
            run = carrier.EmulatorCarrier.launch
            with mock.patch.object(
                carrier.EmulatorCarrier,
                "launch",
                lambda self, kernel, *rest: seen.append(kernel.name) or run(self, kernel, *rest),
            ):
                step(optimizer, weights, gradients)
        return seen

    plain = launches(40)
    assert len(plain) == 1
    assert launches(40, weight_decay=0.1, clipvalue=0.5, loss_scale_factor=2.0) == plain
    assert launches(3, global_clipnorm=0.5) == launches(40, global_clipnorm=0.5)
    assert launches(40, use_ema=True) == [*plain, "blend"]


class Signs(optimizers.Optimizer):
    """An optimizer as Keras's users write one."""

    def __init__(self, learning_rate=0.1, strength=1.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.strength = strength

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.counts = [self.add_variable_from_reference(v, name="count") for v in variables]
        self.total = self.add_variable((), initializer="ones", name="total")

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        count = self.counts[self._get_variable_index(variable)]
        self.assign_add(count, ops.ones_like(count))
        self.assign_sub(variable, ops.multiply(ops.sign(gradient) * self.strength, learning_rate))
        self.assign(self.total, self.total + 1.0)

    def get_config(self):
        return {**super().get_config(), "strength": self.strength}


def test_an_optimizer_of_ones_own():
    optimizer = Signs(0.5, strength=2.0, weight_decay=0.1, clipvalue=1.0, name="signs")
    weights = [Variable([1.0, 2.0], name="a"), Variable(3.0, name="b")]
    for _ in range(2):
        step(optimizer, weights, [np.array([4.0, -4.0]), np.array(0.0)])
    kept = 1 - 0.1 * 0.5
    check(values(weights), [[(1 * kept - 1) * kept - 1, (2 * kept + 1) * kept + 1], 3 * kept**2], 1e-6)
    assert [v.path for v in optimizer.variables] == [
        *("signs/iteration", "signs/learning_rate", "signs/a_count", "signs/b_count", "signs/total"),
    ]
    check(values(optimizer.variables), [2, 0.5, [2, 2], 2, 5], 1e-6)
    assert Signs.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


def test_an_optimizer_without_a_rule_says_what_it_must_have():
    with pytest.raises(NotImplementedError, match=r"must implement update_step"):
        optimizers.Optimizer(0.1).apply([np.ones(2)], [Variable([1.0, 2.0])])


def test_variables_for_several_names():
    optimizer, weights = optimizers.SGD(name="sgd"), variables([[1.0], [2.0, 3.0]])
    a, b = optimizer.add_optimizer_variables(weights, ["a", "b"], ["ones", "zeros"])
    assert [v.name for v in optimizer.variables[2:]] == ["w0_a", "w0_b", "w1_a", "w1_b"]
    check(values(a) + values(b), [[1.0], [1.0, 1.0], [0.0], [0.0, 0.0]], 0)
    with pytest.raises(ValueError, match=r"2 names.*need as many initializers; got 1"):
        optimizer.add_optimizer_variables(weights, ["a", "b"], ["ones"])


def test_set_weights():
    source, target = optimizers.Adam(0.3), optimizers.Adam()
    weights = variables([[1.0, 2.0]], "float32")
    step(source, weights, [np.array([1.0, 2.0])])
    with pytest.raises(ValueError, match="needs a built optimizer"):
        target.set_weights(source.variables)
    target.build(weights)
    target.set_weights(source.variables)
    check(values(target.variables), values(source.variables), 0)
    with pytest.raises(ValueError, match=r"'adam.*' has shape \(2,\); got a value of \(3,\)"):
        target.set_weights([1, 0.1, np.ones(3)])


def test_a_step_that_changes_nothing_gives_what_it_would_change():
    optimizer, weights = optimizers.Adam(0.5), variables([[1.0, 2.0]], "float32")
    with pytest.raises(ValueError, match="needs a built optimizer"):
        optimizer.stateless_apply([], [np.ones(2)], [np.ones(2)])
    optimizer.build(weights)
    before = values(optimizer.variables)
    changed, state = optimizer.stateless_apply(before, [np.array([1.0, -1.0])], [np.array([3.0, 4.0])])
    check(values(changed), [[2.5, 4.5]], 1e-5)
    check(values(state)[:3], [1, 0.5, [0.1, -0.1]], 1e-6)
    check(values(weights), [[1.0, 2.0]], 0)
    check(values(optimizer.variables), before, 0)
    with pytest.raises(ValueError, match="trainable_variables must have 1 values"):
        optimizer.stateless_apply(before, [np.ones(2)], [])


def test_a_weight_that_is_overwritten_with_its_gradient():
    optimizer = optimizers.SGD(1.0, momentum=0.5, gradient_accumulation_steps=2)
    scale, weight = variables([[1.0, 2.0], [1.0, 2.0]], "float32")
    scale.overwrite_with_gradient = True
    step(optimizer, [scale, weight], [np.array([1.0, 5.0]), np.array([1.0, 1.0])])
    check(values([scale, weight]), [[1.0, 2.0], [1.0, 2.0]], 0)
    step(optimizer, [scale, weight], [np.array([3.0, 2.0]), np.array([3.0, 1.0])])
    check(values([scale, weight]), [[3.0, 5.0], [-1.0, 1.0]], 1e-6)
    assert [v.name for v in optimizer.variables[4:]] == ["w1_momentum"]


def test_gradients_of_another_dtype_or_layout_are_fitted_to_their_weights():
    weight = Variable(np.zeros((2, 3), "float32"))
    optimizers.SGD(1.0).apply([np.arange(6.0).reshape(3, 2).T], [weight])
    assert weight.dtype == "float32"
    check([weight.numpy()], [-np.arange(6.0).reshape(3, 2).T], 0)


def test_building_again_keeps_what_there_is():
    optimizer, weights = optimizers.SGD(1.0, momentum=0.5), variables([[1.0]])
    step(optimizer, weights, [np.ones(1)])
    optimizer.build(weights)
    assert optimizer.variables[2].tolist() == [-1.0]
    empty = optimizers.Nadam()
    empty.build([])
    assert empty.built
    assert empty.variables[2].dtype == "float32"


def test_a_variable_in_numpy_does_not_follow_later_steps():
    weight = Variable([1.0])
    before = weight.numpy()
    step(optimizers.SGD(1.0), [weight], [np.ones(1)])
    assert (before.tolist(), weight.tolist()) == ([1.0], [0.0])


def test_what_get_accepts():
    made = optimizers.Lamb()
    assert optimizers.get(made) is made
    assert optimizers.get(None) is None
    assert type(optimizers.get({"class_name": "adafactor", "config": {"weight_decay": 0.05}})) is optimizers.Adafactor
    with pytest.raises(ValueError, match="known optimizer"):
        optimizers.get(3)


def halved():
    return 0.5


def test_a_function_as_learning_rate_comes_back_from_its_configuration():
    config = optimizers.SGD(halved).get_config()
    assert config["learning_rate"]["config"] == "halved"
    again = optimizers.SGD.from_config(config, custom_objects={"halved": halved})
    assert float(again.learning_rate) == 0.5


# The loss scale


def scaled(inner=None, **options):
    return optimizers.LossScaleOptimizer(inner or optimizers.SGD(0.5, loss_scale_factor=100.0), **options)


def test_the_scale_grows_and_shrinks():
    weights, optimizer = variables([[1.0, 2.0]], "float32"), scaled(initial_scale=8.0, dynamic_growth_steps=2)
    assert optimizer.scale_loss(3.0) == 24.0
    seen = []
    for gradient in (2.0, 4.0, np.inf, 1.0, np.nan, 1.0, 1.0):
        optimizer.apply([ops.full((2,), gradient)], weights)
        seen.append((weights[0].tolist(), float(optimizer.scale_loss(1.0)), int(optimizer.iterations)))
    assert seen == [
        ([0.875, 1.875], 8.0, 1),
        ([0.625, 1.625], 16.0, 2),
        ([0.625, 1.625], 8.0, 2),
        ([0.5625, 1.5625], 8.0, 3),
        ([0.5625, 1.5625], 4.0, 3),
        ([0.4375, 1.4375], 4.0, 4),
        ([0.3125, 1.3125], 8.0, 5),
    ]
    optimizer.learning_rate = 0.25
    assert float(optimizer.inner_optimizer.learning_rate) == 0.25


def test_the_loss_scale_in_fit(rng):
    x, y = rng.standard_normal((8, 3)).astype("float32"), rng.standard_normal((8, 1)).astype("float32")
    found = []
    for optimizer in (optimizers.SGD(0.125), scaled(optimizers.SGD(0.125), initial_scale=4.0)):
        model = models.Sequential([layers.Dense(1, kernel_initializer="ones")])
        model.compile(optimizer, "mse")
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
    check(found[1], found[0], 1e-6)


def test_the_loss_scale_round_trip():
    made = scaled(optimizers.Adam(0.25, weight_decay=0.1), initial_scale=3.0, dynamic_growth_steps=7, name="scaled")
    config = made.get_config()
    assert set(config) == {"name", "inner_optimizer", "initial_scale", "dynamic_growth_steps"}
    again = optimizers.deserialize(optimizers.serialize(made))
    assert again.get_config() == config
    made.build(variables([[1.0]], "float32"))
    assert [v.name for v in made.variables] == [
        *("iteration", "learning_rate", "step_counter", "dynamic_scale", "iteration", "learning_rate"),
        *("w0_momentum", "w0_velocity"),
    ]
    scaled(dynamic=True, weight_decay=None, ema_momentum=0.99)


@pytest.mark.parametrize("wrong", [{"dynamic": False}, {"foo": 1}, {"clipnorm": 1.0}, {"use_ema": True}])
def test_what_belongs_to_the_inner_optimizer_is_refused(wrong):
    with pytest.raises(ValueError, match=r"inner optimizer|does not know"):
        scaled(**wrong)


def test_a_loss_scale_without_variables_is_refused():
    with pytest.raises(ValueError, match="needs a built optimizer"):
        scaled().apply([np.ones(2)])
