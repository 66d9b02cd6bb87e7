"""A deep Q-network learns to balance a pole on a cart.

    python examples/dqn_cartpole.py                     needs gymnasium: pip install 'deepcore[examples]'
    python examples/dqn_cartpole.py --plot curve.png    the return of every episode of training

Mnih et al. 2015, Human-level control through deep reinforcement learning: a network says what each action is worth. It
learns from transitions out of a replay buffer, towards what a copy of itself, renewed now and then, says of the state
that follows, and of the action that it would take there itself (van Hasselt et al. 2016). CartPole-v1 gives 1 for each
step that the pole stands, and ends after 500.

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import argparse

import numpy as np

import deepcore as keras
from deepcore import layers

DISCOUNT, BATCH = 0.99, 64


class ReplayBuffer:
    """The latest transitions; the newest takes the place of the oldest. ``ended`` is 0 where only time was up."""

    def __init__(self, capacity: int, state_size: int) -> None:
        state = "f4", (state_size,)
        fields = [("state", *state), ("action", "i8"), ("reward", "f4"), ("next_state", *state), ("ended", "f4")]
        self.transitions = np.zeros(capacity, fields)
        self.count = 0

    def add(self, *transition) -> None:
        """Keeps one: state, action, reward, next state and whether nothing follows it."""
        self.transitions[self.count % len(self.transitions)] = transition
        self.count += 1

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Random ones of those kept."""
        return self.transitions[rng.integers(0, min(self.count, len(self.transitions)), size)]


def networks(state_size: int, actions: int, units: int) -> tuple[keras.Model, keras.Model]:
    """A network from states to the value of each action; and the same, trained on the value of the action taken."""
    state, taken = keras.Input((state_size,)), keras.Input((actions,))
    hidden = layers.Dense(units, activation="relu")(state)
    hidden = layers.Dense(units, activation="relu")(hidden)
    values = layers.Dense(actions)(hidden)
    learner = keras.Model([state, taken], layers.Dot(axes=1)([values, taken]))
    learner.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-3), loss="mse")
    return keras.Model(state, values), learner


def learn(values: keras.Model, target: keras.Model, learner: keras.Model, batch: np.ndarray) -> None:
    """One step towards reward + discount * value of what follows."""
    best = values.predict_on_batch(batch["next_state"]).argmax(axis=1)
    following = target.predict_on_batch(batch["next_state"])[np.arange(len(best)), best]
    wanted = batch["reward"] + DISCOUNT * (1 - batch["ended"]) * following
    taken = np.eye(values.output_shape[-1], dtype="f4")[batch["action"]]
    learner.train_on_batch([batch["state"], taken], wanted[:, None])


def play(environments, values: keras.Model, seed: int) -> float:
    """The mean return of one episode in each of many environments, where the best action is always taken."""
    states, _ = environments.reset(seed=seed)
    returns, playing = np.zeros(len(states)), np.ones(len(states), bool)
    while playing.any():
        actions = values.predict_on_batch(states).argmax(axis=1)
        states, rewards, ended, out_of_time, _ = environments.step(actions)
        returns += rewards * playing
        playing &= ~(ended | out_of_time)
    return float(returns.mean())


def train(environment, rehearsals, options: argparse.Namespace) -> tuple[keras.Model, list[float]]:
    """The network that played best of those met on the way, and the return of every episode of training."""
    rng = np.random.default_rng(options.seed)
    state, _ = environment.reset(seed=options.seed)
    values, learner = networks(len(state), 2, options.units)
    target = keras.models.clone_model(values)
    buffer = ReplayBuffer(20_000, len(state))
    returns, best, best_weights = [0.0], 0.0, values.get_weights()
    for step in range(options.steps):
        if step % 100 == 0:
            target.set_weights(values.get_weights())
        # From always random to once in twenty over the first fifth of the steps.
        if rng.random() < max(0.05, 1 - 0.95 * step / (0.2 * options.steps)):
            action = int(rng.integers(2))
        else:
            action = int(values.predict_on_batch(state[None]).argmax())
        next_state, reward, ended, out_of_time, _ = environment.step(action)
        buffer.add(state, action, reward, next_state, ended)
        returns[-1] += reward
        state = next_state
        if ended or out_of_time:
            state, _ = environment.reset()
            returns.append(0.0)
        if buffer.count >= 250 and step % options.every == 0:
            learn(values, target, learner, buffer.sample(BATCH, rng))
        if (step + 1) % 500 == 0:
            mean = play(rehearsals, values, seed=0)
            print(f"Step {step + 1}, episode {len(returns)}: mean return {mean:.1f}", flush=True)
            if mean > best:
                best, best_weights = mean, values.get_weights()
            if best >= options.goal:
                break
    values.set_weights(best_weights)
    return values, returns[:-1]


def plot(returns: list[float], file: str) -> None:
    """The return of each episode, and the mean of twenty."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(returns, ".", color="silver", label="episode")
    means = [np.mean(returns[max(0, i - 19) : i + 1]) for i in range(len(returns))]
    axes.plot(means, label="mean of the last 20")
    axes.set(xlabel="episode", ylabel="return", title="CartPole-v1")
    axes.legend()
    figure.savefig(file)


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the mean return of twenty episodes that were not played before."""
    parser = argparse.ArgumentParser(description="Train a deep Q-network on CartPole.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or emulator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20_000, help="steps of the environment")
    parser.add_argument("--every", type=int, default=1, help="steps of the environment between two of learning")
    parser.add_argument("--goal", type=float, default=475, help="the mean return at which training ends")
    parser.add_argument("--units", type=int, default=128, help="units of each hidden layer")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the returns")
    options = parser.parse_args(argv)
    try:
        import gymnasium
    except ImportError as error:
        raise SystemExit(f"CartPole comes from gymnasium ({error}): pip install 'deepcore[examples]'") from error

    keras.utils.set_random_seed(options.seed)
    environment, rehearsals = gymnasium.make("CartPole-v1"), gymnasium.make_vec("CartPole-v1", num_envs=20)
    with keras.device(options.device):
        values, returns = train(environment, rehearsals, options)
        mean = play(rehearsals, values, seed=1_000)
    print(f"Mean return of 20 new episodes after {len(returns)} of training: {mean:.1f} of 500")
    if options.plot:
        plot(returns, options.plot)
    return mean


if __name__ == "__main__":
    main()
