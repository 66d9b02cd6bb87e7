"""Fine-tuning: what a network learned of the digits 0 to 4 helps it to tell 5 to 9 from a few examples.

    python examples/fine_tuning.py                          downloads MNIST once
    python examples/fine_tuning.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk
    python examples/fine_tuning.py --data digits --epochs 30

A network is trained on 0 to 4 and saved. Loaded again and frozen but for a new head, it learns 5 to 9 from ten examples
of each; then all of it goes on at a small learning rate. Beside it the same network learns them from nothing:
worse on MNIST, but not on 8x8 pixels, where there is less to know beforehand.

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import handwritten
import numpy as np

import deepcore as keras
from deepcore import layers


def network(shape: tuple[int, int]) -> keras.Sequential:
    """Two convolutions with pooling, and a head for five classes."""
    return keras.Sequential(
        [
            layers.Input((*shape, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ]
    )


def fit(model: keras.Model, train, test, epochs: int, learning_rate: float = 1e-3, verbose: int = 0) -> float:
    """Trains, and gives the accuracy on the test images."""
    optimizer = keras.optimizers.Adam(learning_rate=learning_rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train, batch_size=32, epochs=epochs, verbose=verbose)
    return model.evaluate(*test, verbose=0)[1]


def main(argv: list[str] | None = None) -> tuple[float, float, float]:
    """Gives the accuracy on 5 to 9 of the frozen network with a new head, of all of it tuned, and from nothing."""
    parser = handwritten.arguments("Fine-tune a saved network on digits that it does not know.", epochs=2)
    parser.add_argument("--file", default="zero_to_four.keras", help="where the first network is saved")
    parser.add_argument("--examples", type=int, default=10, help="examples of each of the digits 5 to 9")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    train, test = handwritten.load(options.data, options.path)
    low_train, low_test = ((x[y < 5, ..., None], y[y < 5]) for x, y in (train, test))
    high_train, high_test = ((x[y > 4, ..., None], y[y > 4] - 5) for x, y in (train, test))
    few = np.concatenate([np.flatnonzero(high_train[1] == label)[: options.examples] for label in range(5)])
    few_train = high_train[0][few], high_train[1][few]

    with keras.device(options.device):
        known = network(train[0].shape[1:])
        accuracy = fit(known, low_train, low_test, options.epochs, verbose=1)
        known.save(options.file)
        print(f"0 to 4: accuracy {accuracy:.2%}; saved as {options.file}")

        loaded = keras.models.load_model(options.file)
        base = keras.Model(loaded.inputs, loaded.layers[-2].output)
        base.trainable = False
        tuned = keras.Sequential([base, layers.Dense(5, activation="softmax")])
        tuned.summary()
        head = fit(tuned, few_train, high_test, 100, learning_rate=3e-3)
        base.trainable = True
        whole = fit(tuned, few_train, high_test, 50, learning_rate=3e-4)
        scratch = fit(network(train[0].shape[1:]), few_train, high_test, 100)

    print(f"5 to 9, from {options.examples} examples of each:")
    print(f"accuracy {head:.2%} with a new head, {whole:.2%} with all tuned, {scratch:.2%} from nothing")
    return head, whole, scratch


if __name__ == "__main__":
    main()
