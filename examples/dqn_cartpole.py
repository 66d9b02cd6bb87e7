"""A deep Q-network learns to balance a pole on a cart.

    python examples/dqn_cartpole.py                     needs gymnasium: pip install 'deepcore[examples]'
    python examples/dqn_cartpole.py --plot curve.png    the return of every episode of training

Mnih et al. 2015, Human-level control through deep reinforcement learning: a network says what each action is worth; it
learns from transitions drawn from a replay buffer, towards what a copy of itself, renewed now and then, says of the
state that follows. CartPole-v1 gives 1 for each step that the pole stands, and ends after 500.

With `import keras` and `from keras import layers` in place of the first two imports, Keras runs the same script.
"""

import argparse

import numpy as np

import deepcore as keras
from deepcore import layers

DISCOUNT = 0.99
BATCH = 64


class ReplayBuffer:
    """The latest transitions; the newest takes the place of the oldest."""

    def __init__(self, capacity: int, state_size: int) -> None:
        self.states, self.next_states = np.zeros((2, capacity, state_size), np.float32)
        self.actions = np.zeros(capacity, np.int64)
        self.rewards, self.ended = np.zeros((2, capacity), np.float32)
        self.count = 0

    def add(self, state, action, reward, next_state, ended) -> None:
        """Keeps one transition; ``ended`` says that nothing follows it, not that time was up."""
        i = self.count % len(self.actions)
        self.states[i], self.actions[i], self.rewards[i] = state, action, reward
        self.next_states[i], self.ended[i] = next_state, ended
        self.count += 1

    def sample(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """States, actions, rewards, next states and ends of random transitions."""
        rows = rng.integers(0, min(self.count, len(self.actions)), size)
        kept = (self.states, self.actions, self.rewards, self.next_states, self.ended)
        return tuple(array[rows] for array in kept)


def networks(state_size: int, actions: int, units: int) -> tuple[keras.Model, keras.Model]:
    """A network from states to the value of each action; and the same, trained on the value of the action taken."""
    state, taken = keras.Input((state_size,)), keras.Input((actions,))
    hidden = layers.Dense(units, activation="relu")(state)
    hidden = layers.Dense(units, activation="relu")(hidden)
    values = layers.Dense(actions)(hidden)
    learner = keras.Model([state, taken], layers.Dot(axes=1)([values, taken]))
    learner.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-3), loss="huber")
    return keras.Model(state, values), learner


def learn(values: keras.Model, target: keras.Model, learner: keras.Model, batch: tuple[np.ndarray, ...]) -> None:
    """One step towards reward + discount * value of the best action that follows."""
    states, actions, rewards, next_states, ended = batch
    following = target.predict_on_batch(next_states).max(axis=1)
    wanted = rewards + DISCOUNT * (1 - ended) * following
    learner.train_on_batch([states, np.eye(values.output_shape[-1], dtype=np.float32)[actions]], wanted[:, None])


def play(environment, values: keras.Model, episodes: int, seed: int) -> float:
    """The mean return of episodes in which the best action is always taken."""
    total = 0.0
    for episode in range(episodes):
        state, _ = environment.reset(seed=seed + episode)
        done = False
        while not done:
            state, reward, ended, out_of_time, _ = environment.step(int(values.predict_on_batch(state[None]).argmax()))
            total, done = total + reward, ended or out_of_time
    return total / episodes


def train(environment, options: argparse.Namespace) -> tuple[keras.Model, list[float]]:
    """Plays and learns for a number of steps; gives the network and the return of every episode."""
    rng = np.random.default_rng(options.seed)
    state, _ = environment.reset(seed=options.seed)
    actions = int(environment.action_space.n)
    values, learner = networks(len(state), actions, options.units)
    target = keras.models.clone_model(values)
    buffer = ReplayBuffer(20_000, len(state))
    returns = [0.0]
    for step in range(options.steps):
        if step % options.renew == 0:
            target.set_weights(values.get_weights())
        # From always random to once in twenty over the first fifth of the steps.
        if rng.random() < max(0.05, 1 - 0.95 * step / (0.2 * options.steps)):
            action = int(rng.integers(actions))
        else:
            action = int(values.predict_on_batch(state[None]).argmax())
        next_state, reward, ended, out_of_time, _ = environment.step(action)
        buffer.add(state, action, reward, next_state, ended)
        returns[-1] += reward
        state = next_state
        if ended or out_of_time:
            if len(returns) % 20 == 0:
                print(f"step {step + 1}, episode {len(returns)}: mean return of the last 20 {np.mean(returns[-20:]):.1f}")
            state, _ = environment.reset()
            returns.append(0.0)
        if buffer.count >= 500 and step % options.every == 0:
            learn(values, target, learner, buffer.sample(BATCH, rng))
    return values, returns[:-1]


def plot(returns: list[float], file: str) -> None:
    """The return of each episode, and the mean of twenty."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(returns, ".", color="silver", label="episode")
    axes.plot(np.arange(19, len(returns)), np.convolve(returns, np.full(20, 1 / 20), "valid"), label="mean of 20")
    axes.set(xlabel="episode", ylabel="return", title="CartPole-v1")
    axes.legend()
    figure.savefig(file)


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the mean return of twenty episodes that the network plays."""
    parser = argparse.ArgumentParser(description="Train a deep Q-network on CartPole.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or emulator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20_000, help="steps of the environment")
    parser.add_argument("--every", type=int, default=2, help="steps of the environment between two of learning")
    parser.add_argument("--renew", type=int, default=500, help="steps between two copies into the target network")
    parser.add_argument("--units", type=int, default=64, help="units of each hidden layer")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the returns")
    options = parser.parse_args(argv)
    try:
        import gymnasium
    except ImportError as error:
        raise SystemExit(f"CartPole comes from gymnasium ({error}): pip install 'deepcore[examples]'") from error

    keras.utils.set_random_seed(options.seed)
    environment = gymnasium.make("CartPole-v1")
    with keras.device(options.device):
        values, returns = train(environment, options)
        mean = play(environment, values, episodes=20, seed=1_000)
    print(f"{len(returns)} episodes of training; mean return of 20 more, played by the network: {mean:.1f} of 500")
    if options.plot:
        plot(returns, options.plot)
    return mean


if __name__ == "__main__":
    main()
