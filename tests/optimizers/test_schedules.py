"""Learning rate schedules against their formulas."""

from __future__ import annotations

import math

import pytest

from deepcore import optimizers
from deepcore.optimizers import schedules
from deepcore.tensor import Tensor
from deepcore.variable import Variable

CASES = [
    (schedules.ExponentialDecay(0.5, 10, 0.8), {0: 0.5, 5: 0.5 * 0.8**0.5, 25: 0.5 * 0.8**2.5}),
    (schedules.ExponentialDecay(0.5, 10, 0.8, staircase=True), {9: 0.5, 25: 0.5 * 0.8**2}),
    (schedules.InverseTimeDecay(0.5, 10, 0.8), {5: 0.5 / 1.4, 25: 0.5 / 3}),
    (schedules.InverseTimeDecay(0.5, 10, 0.8, staircase=True), {5: 0.5, 25: 0.5 / 2.6}),
    (schedules.PiecewiseConstantDecay([3, 6], [1.0, 0.5, 0.1]), {0: 1.0, 3: 1.0, 4: 0.5, 6: 0.5, 7: 0.1}),
    (schedules.PolynomialDecay(0.5, 10, 0.1, power=2.0), {0: 0.5, 5: 0.4 / 4 + 0.1, 10: 0.1, 30: 0.1}),
    (schedules.PolynomialDecay(0.5, 10, 0.1, cycle=True), {0: 0.5, 10: 0.1, 15: 0.4 * 0.25 + 0.1, 20: 0.1}),
    (schedules.CosineDecay(0.5, 10, alpha=0.2), {0: 0.5, 5: 0.5 * 0.6, 10: 0.1, 30: 0.1}),
    (schedules.CosineDecay(0.1, 10, warmup_target=0.5, warmup_steps=4), {0: 0.1, 2: 0.3, 4: 0.5, 9: 0.25, 14: 0}),
    (schedules.CosineDecayRestarts(0.5, 4, m_mul=0.5), {0: 0.5, 2: 0.25, 4: 0.25, 8: 0.125, 12: 0.125}),
    (schedules.CosineDecayRestarts(0.5, 4, t_mul=1.0, alpha=0.2), {5: 0.5 * (0.4 * (1 + math.cos(math.pi / 4)) + 0.2)}),
    (schedules.StepDecay(0.5, 4, 0.1), {3: 0.5, 4: 0.05, 9: 0.005}),
]


@pytest.mark.parametrize(("schedule", "wanted"), CASES, ids=lambda case: type(case).__name__)
def test_rates_and_configurations(schedule, wanted):
    config = schedules.serialize(schedule)
    assert config["module"] == "keras.optimizers.schedules"
    again = schedules.deserialize(config)
    assert again.get_config() == schedule.get_config()
    for step, rate in wanted.items():
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-6, abs=1e-9)
        assert float(again(step)) == float(schedule(step))


def test_an_optimizer_follows_its_schedule_and_keeps_it_in_its_configuration():
    weight, optimizer = Variable([0.0]), optimizers.SGD(schedules.PiecewiseConstantDecay([0, 1], [1.0, 0.5, 0.25]))
    for _ in range(3):
        optimizer.apply([Tensor([1.0])], [weight])
    assert weight.tolist() == [-1.75]
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert float(again.learning_rate) == 1.0
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(TypeError, match="follows the schedule PiecewiseConstantDecay"):
        optimizer.learning_rate = 0.1
    assert [v.name for v in optimizer.variables] == ["iteration"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, -1, 0.5),
        lambda: schedules.PolynomialDecay(0.1, 0),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.CosineDecayRestarts(0.1, 0),
        lambda: schedules.StepDecay(0.1, 0),
        lambda: schedules.PiecewiseConstantDecay([1], [1.0]),
    ],
)
def test_impossible_arguments(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_a_schedule_of_ones_own_must_say_its_rate():
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(0)
