"""A generative adversarial network that learns to draw digits: a ``train_step`` of its own.

    python examples/gan.py                          downloads MNIST once
    python examples/gan.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk
    python examples/gan.py --data digits --epochs 60
    python examples/gan.py --plot drawn.png         fifty digits that nobody wrote

Goodfellow et al. 2014, Generative adversarial nets. How far drawn images are from real ones is measured by the Fréchet
distance of their means and covariances (Heusel et al. 2017, but on the pixels), beside that of test digits.

With `import keras` and `from keras import layers, ops` in place of the deepcore ones, Keras runs the same script, on
its torch backend, whose way it is to differentiate by ``backward``.
"""

import handwritten
import numpy as np

import deepcore as keras
from deepcore import layers, ops


class GAN(keras.Model):
    """A generator of images from noise and a discriminator of real from drawn ones, trained against each other."""

    def __init__(self, pixels: int, noise: int) -> None:
        super().__init__()
        self.built = True  # it has no call of its own; its two networks are built
        self.noise = noise
        self.generator = keras.Sequential(
            [
                layers.Input((noise,)),
                layers.Dense(128, activation="relu"),
                layers.BatchNormalization(),
                layers.Dense(256, activation="relu"),
                layers.BatchNormalization(),
                layers.Dense(pixels, activation="sigmoid"),
            ]
        )
        self.discriminator = keras.Sequential(
            [
                layers.Input((pixels,)),
                layers.Dense(256, activation="leaky_relu"),
                layers.Dropout(0.3),
                layers.Dense(128, activation="leaky_relu"),
                layers.Dropout(0.3),
                layers.Dense(1),
            ]
        )
        self.judge = keras.losses.BinaryCrossentropy(from_logits=True)
        self.generator_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
        self.discriminator_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
        self.generator_loss = keras.metrics.Mean(name="generator")
        self.discriminator_loss = keras.metrics.Mean(name="discriminator")

    def draw(self, count: int, training: bool = False):
        """Images [count, pixels] from fresh noise."""
        return self.generator(keras.random.normal((count, self.noise)), training=training)

    def train_step(self, data):
        """The discriminator's step, then the generator's."""
        real, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        ones, zeros = ops.ones((len(real), 1)), ops.zeros((len(real), 1))

        drawn = ops.stop_gradient(self.draw(len(real), training=True))
        told_real = self.judge(ones, self.discriminator(real, training=True))
        told_drawn = self.judge(zeros, self.discriminator(drawn, training=True))
        loss = told_real + told_drawn
        descend(loss, self.discriminator, self.discriminator_optimizer)
        self.discriminator_loss.update_state(ops.stop_gradient(loss))

        taken_for_real = self.discriminator(self.draw(len(real), training=True), training=True)
        loss = self.judge(ones, taken_for_real)
        descend(loss, self.generator, self.generator_optimizer)
        self.generator_loss.update_state(ops.stop_gradient(loss))
        return {"discriminator": self.discriminator_loss.result(), "generator": self.generator_loss.result()}


def descend(loss, model: keras.Model, optimizer: keras.Optimizer) -> None:
    """One step of the model's weights down the gradient of the loss."""
    model.zero_grad()
    loss.backward()
    optimizer.apply([weight.value.grad for weight in model.trainable_weights], model.trainable_weights)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean a - mean b|^2 + trace(A + B - 2 sqrt(A B)) for images [n, pixels] with covariances A and B."""
    covariances = [np.cov(images, rowvar=False, dtype=np.float64) for images in (a, b)]
    # The eigenvalues of A B are real and not negative but for rounding.
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0))
    apart = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return float(apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots.sum())


def plot(images: np.ndarray, file: str) -> None:
    """Fifty images [50, height, width] in five rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    for image, axes in zip(images, figure.subplots(5, 10).flat, strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        axes.axis("off")
    figure.savefig(file)


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Trains, and gives the distances to test digits of the generator's first and of its last images."""
    parser = handwritten.arguments("Train a generative adversarial network on handwritten digits.", epochs=10)
    parser.add_argument("--noise", type=int, default=32, help="how many random numbers an image is drawn from")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of fifty drawn digits")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    (x_train, _), (x_test, _) = handwritten.load(options.data, options.path)
    shape = x_train.shape[1:]
    x_train, x_test = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
    with keras.device(options.device):
        gan = GAN(x_train.shape[1], options.noise)
        gan.compile()
        before = ops.convert_to_numpy(gan.draw(1_000))
        gan.fit(x_train, batch_size=64, epochs=options.epochs)
        after = ops.convert_to_numpy(gan.draw(1_000))
    distances = [frechet_distance(images, x_test) for images in (before, after, x_train)]
    told = "Fréchet distance to test digits: {:.2f} untrained, {:.2f} trained; of training digits {:.2f}"
    print(told.format(*distances))
    if options.plot:
        plot(after[:50].reshape(-1, *shape), options.plot)
    return distances[0], distances[1]


if __name__ == "__main__":
    main()
