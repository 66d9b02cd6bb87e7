"""What all layers share: names, weights, the training flag, configurations and errors."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import initializers, layers, naming, ops, random
from deepcore.layers import Dense, Layer
from deepcore.tensor import Tensor
from deepcore.variable import Variable

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


class Pair(Layer):
    """Two dense layers, one of them in a list, and a weight of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(3, name="first")
        self.rest = [Dense(2, name="last")]
        self.offset = Variable(np.zeros(2, np.float32), name="offset")

    def call(self, x):
        return self.rest[0](self.first(x)) + self.offset


class Probe(Layer):
    """Remembers the training flag of each call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, x, training=False):
        self.seen.append(training)
        return x


class Outer(Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inherits, self.fixed = Probe(), Probe()

    def call(self, x):
        return self.fixed(self.inherits(x), training=False)


def test_names_count_up_and_are_spelled_as_in_keras():
    naming.reset_names()
    made = [Dense(1), Dense(1), layers.MaxPooling2D(), layers.ReLU(), layers.GlobalAveragePooling2D()]
    assert [layer.name for layer in made] == [
        "dense",
        "dense_1",
        "max_pooling2d",
        "re_lu",
        "global_average_pooling2d",
    ]


def test_weights_of_sublayers_in_attributes_and_lists_are_found_in_order():
    layer = Pair(name="pair")
    layer(np.ones((4, 5), np.float32))
    assert [v.path for v in layer.weights] == [
        "offset",
        "pair/first/kernel",
        "pair/first/bias",
        "pair/last/kernel",
        "pair/last/bias",
    ]
    assert layer.count_params() == 2 + 5 * 3 + 3 + 3 * 2 + 2


def _changed_within(model, inner, blocks):
    """Ways to change what lies within ``model``, each with the layer that comes or goes."""
    new = Dense(4)
    new.build((None, 3))
    inner.head = new
    yield new, True
    blocks.append(blocks[0].__class__(2))
    blocks[-1].build((None, 3))
    yield blocks[-1], True
    yield blocks.pop(), False
    del inner.head
    yield new, False
    model.table["last"] = new
    yield new, True
    model.table.clear()
    yield new, False


def test_what_lies_within_a_layer_is_found_anew_after_every_change():
    class Block(Layer):
        pass

    model, inner = Block(), Block()
    model.blocks, model.table, model.inner = [Dense(2)], {}, inner
    model.blocks[0].build((None, 3))
    assert len(model.trainable_weights) == 2
    assert model.weights is not model.weights
    for layer, is_there in _changed_within(model, inner, model.blocks):
        found = {id(weight) for weight in model.weights}
        assert [id(weight) in found for weight in layer.weights] == [is_there, is_there]
    late = inner.add_weight((1,), "zeros")
    assert any(weight is late for weight in model.trainable_weights)
    late.trainable = False
    assert all(weight is not late for weight in model.trainable_weights)


def test_a_class_may_say_itself_what_its_weights_are():
    chosen = []

    class Chosen(Layer):
        @property
        def weights(self):
            return list(chosen)

    outer = Dense(2)
    outer.inner = Chosen()
    assert outer.weights == []
    chosen.append(Dense(1).add_weight((1,), "zeros"))
    assert len(outer.weights) == 1


def test_a_layer_in_two_places_tells_its_losses_once():
    class Costly(Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    class Both(Layer):
        def __init__(self, left, right):
            super().__init__()
            self.left, self.right = left, right

        def call(self, x):
            return self.left(x)

    shared = Costly()
    model = Both(Both(shared, shared), Both(shared, shared))
    for _ in range(2):  # the second call forgets the losses of the first
        model(np.ones((1, 2), np.float32))
        assert [float(loss) for loss in model.losses] == [2.0]


def test_set_weights_writes_what_get_weights_gave(rng):
    first, second = Pair(), Pair()
    x = rng.standard_normal((4, 5)).astype(np.float32)
    expected = first(x).numpy()
    second(x)
    memory = [v.data for v in second.weights]
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(second(x).numpy(), expected)
    assert all(v.data is array for v, array in zip(second.weights, memory, strict=True))


def test_set_weights_that_misfit_change_nothing():
    layer = Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"2 weights; set_weights was given 1"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"'dense.*/bias' has shape \(2,\).* shape \(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_training_is_inherited_and_an_explicit_argument_wins():
    outer = Outer()
    x = np.ones((1, 2), np.float32)
    outer(x)
    outer(x, training=True)
    outer(x, training=False)
    assert outer.inherits.seen == [False, True, False]
    assert outer.fixed.seen == [False, False, False]
    probe = Probe()
    probe(x)
    assert probe.seen == [False], "the flag of an earlier call must not linger"


def test_freezing_a_layer_freezes_its_sublayers_and_thawing_gives_back_what_was_trainable():
    layer = Pair()
    layer.norm = layers.BatchNormalization()
    layer(np.ones((2, 5), np.float32))
    layer.norm(np.ones((2, 5), np.float32))
    everything = {id(v) for v in layer.weights}
    trainable = {id(v) for v in layer.trainable_weights}
    assert len(everything) - len(trainable) == 2
    layer.trainable = False
    assert layer.trainable_weights == []
    assert {id(v) for v in layer.non_trainable_weights} == everything
    assert not any(v.requires_grad for v in layer.weights)
    layer.trainable = True
    assert {id(v) for v in layer.trainable_weights} == trainable


def test_a_layer_made_frozen_has_frozen_weights_that_thaw():
    layer = Dense(2, trainable=False)
    layer.build((None, 3))
    assert layer.trainable_weights == []
    layer.trainable = True
    assert [v.name for v in layer.trainable_weights] == ["kernel", "bias"]


CONFIGURED = [
    Dense(
        3,
        activation="relu",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer="l2",
        activity_regularizer="l1",
    ),
    layers.Conv2D(4, (3, 2), strides=2, padding="same", dilation_rate=1, groups=2, activation="tanh"),
    layers.Conv2D(4, 3, data_format="channels_first", bias_initializer=initializers.Constant(0.5)),
    layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
    layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1),
    layers.Conv1D(
        4, 3, padding="causal", dilation_rate=2, groups=2, kernel_regularizer="l2", bias_constraint="non_neg"
    ),
    layers.Conv1DTranspose(4, 3, strides=2, output_padding=1, use_bias=False, data_format="channels_first"),
    layers.DepthwiseConv1D(3, depthwise_initializer="ones", depthwise_regularizer="l1", activation="relu"),
    layers.SeparableConv1D(4, 3, pointwise_constraint="max_norm", depth_multiplier=2, activity_regularizer="l1"),
    layers.SeparableConv2D(4, (3, 2), strides=(1, 2), pointwise_regularizer="l2", bias_regularizer="l1"),
    layers.MaxPooling2D((3, 2), strides=1, padding="same"),
    layers.MaxPooling1D(3, strides=1, padding="same"),
    layers.AveragePooling1D(2, data_format="channels_first"),
    layers.GlobalMaxPooling1D(keepdims=True),
    layers.GlobalAveragePooling1D(data_format="channels_first"),
    layers.AveragePooling2D(2, data_format="channels_first"),
    layers.GlobalMaxPooling2D(keepdims=True),
    layers.GlobalAveragePooling2D(data_format="channels_first"),
    layers.Flatten(data_format="channels_first"),
    layers.Reshape((4, -1)),
    layers.Permute((2, 1)),
    layers.RepeatVector(3),
    layers.Identity(),
    layers.Cropping1D((1, 2)),
    layers.Cropping2D(((1, 2), (0, 3)), data_format="channels_first"),
    layers.ZeroPadding1D((1, 2), data_format="channels_first"),
    layers.ZeroPadding2D((1, 2)),
    layers.UpSampling1D(3),
    layers.UpSampling2D((2, 3), data_format="channels_first", interpolation="bilinear"),
    layers.Add(),
    layers.Subtract(),
    layers.Multiply(),
    layers.Average(),
    layers.Maximum(),
    layers.Minimum(),
    layers.Concatenate(axis=1),
    layers.Dot((1, -1), normalize=True),
    layers.Dropout(0.3, noise_shape=(None, 1), seed=4),
    layers.BatchNormalization(axis=1, momentum=0.8, epsilon=1e-2, center=False),
    layers.LayerNormalization(axis=(1, 2), scale=False),
    layers.Activation("softmax"),
    layers.ReLU(max_value=6.0, negative_slope=0.1),
    layers.LeakyReLU(negative_slope=0.2),
    layers.Softmax(axis=1),
    layers.InputLayer((3, None), batch_size=4),
    layers.ELU(alpha=0.5),
    layers.PReLU(alpha_initializer="ones", alpha_regularizer="l1", shared_axes=[1, 2]),
    layers.Softmax(axis=(1, 2)),
    layers.Embedding(7, 3, embeddings_initializer="ones", embeddings_regularizer="l2", mask_zero=True),
    layers.EinsumDense("...bc,cd->...bd", (None, 5), bias_axes="d", activation="relu", kernel_regularizer="l2"),
    layers.Lambda(ops.tanh, output_shape=(3,)),
    layers.Masking(mask_value=-1.0),
    layers.ActivityRegularization(l1=0.1, l2=0.2),
    layers.BatchNormalization(momentum=0.9, gamma_initializer="zeros", beta_regularizer="l2"),
    layers.LayerNormalization(axis=-1, gamma_regularizer="l1"),
    layers.GroupNormalization(4, axis=1, center=False),
    layers.RMSNormalization(axis=[1, 2], epsilon=1e-3),
    layers.UnitNormalization(axis=[-1, -2]),
    layers.LocalResponseNormalization(2, bias=2.0, alpha=1e-4, beta=0.75, axis=1),
    layers.SpectralNormalization(layers.Conv2D(3, 2), power_iterations=3),
    layers.AlphaDropout(0.2, noise_shape=(None, 1), seed=5),
    layers.GaussianDropout(0.2, seed=5),
    layers.GaussianNoise(0.3, seed=5),
    layers.SpatialDropout1D(0.2, seed=5),
    layers.SpatialDropout2D(0.2, data_format="channels_first", dtype="float64"),
    layers.Rescaling([0.5, 1.0], offset=-1.0),
    layers.Rescaling(np.array([0.5, 1.0])),
    layers.Normalization(axis=(1, 2), invert=True),
    layers.Normalization(mean=[1.0, 2.0], variance=[3.0, 4.0]),
    layers.CategoryEncoding(5, "count"),
    layers.Resizing(4, 5, "nearest", crop_to_aspect_ratio=True, antialias=True, data_format="channels_first"),
    layers.CenterCrop(4, 5),
    layers.RandomFlip("vertical", seed=3),
    layers.RandomRotation((-0.1, 0.2), fill_mode="constant", fill_value=2.0, seed=3),
    layers.RandomZoom(0.2, interpolation="nearest"),
    layers.RandomTranslation(0.2, (-0.1, 0.3), fill_mode="wrap"),
    layers.RandomContrast(0.2, value_range=(0, 1)),
    layers.RandomBrightness((-0.1, 0.2), value_range=(0, 1)),
    layers.RandomCrop(4, 5, seed=3),
]


@pytest.mark.parametrize("layer", CONFIGURED, ids=lambda layer: layer.name)
def test_a_layer_made_from_its_configuration_has_the_same(layer):
    config = layers.serialize(layer)
    again = layers.deserialize(config)
    assert type(again) is type(layer)
    assert again.name == layer.name
    assert layers.serialize(again) == config


def test_a_layer_of_ones_own_must_say_its_configuration():
    class Power(Layer):
        def __init__(self, exponent, **kwargs):
            super().__init__(**kwargs)
            self.exponent = exponent

        def call(self, x):
            return x**self.exponent

    config = Power(2, name="squared").get_config()
    assert (config["exponent"], config["name"]) == (2, "squared")
    again = Power.from_config(config)
    assert (again.exponent, again.name) == (2, "squared")
    with pytest.raises(NotImplementedError, match=r"Power.*exponent=.*get_config"):
        Power(np.array(2.0)).get_config()


def test_a_layer_that_does_not_say_its_output_shape_is_asked_with_zeros():
    class Twice(Layer):
        def call(self, x):
            return ops.concatenate([x, x], -1)

    assert Twice().compute_output_shape((None, 3)) == (None, 6)
    assert Twice().compute_output_shape((2, 3)) == (2, 6)


def test_forgetting_to_initialise_the_base_is_said():
    class Bare(Layer):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"Bare\.__init__ must call super\(\)\.__init__\(\)"):
        Bare()(np.ones((1, 1)))


def test_inputs_are_cast_to_the_layers_dtype():
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for data in (x, x.astype(np.float64), x.astype(np.float16), x.tolist(), Tensor(x.astype(np.float64))):
        assert Dense(2)(data).dtype == np.float32
    wide = Dense(2, dtype="float64")
    assert wide(x.astype(np.float32)).dtype == np.float64
    assert wide.kernel.dtype == np.float64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), r"units must be a positive integer; got units=0"),
        (lambda: Dense(2.5), r"units=2.5"),
        (lambda: Dense(True), r"units=True"),
        (lambda: Dense(2, activation="rleu"), r"Unknown activation 'rleu'. Did you mean 'relu'"),
        (lambda: Dense(2, kernel_initializer="gloro_uniform"), r"Unknown initializer.*'glorot_uniform'"),
        (lambda: Dense(2, kernel_regularizer="l3"), r"Unknown regularizer 'l3'"),
        (lambda: layers.Conv2D(0, 3), r"filters=0"),
        (lambda: layers.Conv2D(4, 0), r"kernel_size must be at least 1"),
        (lambda: layers.Conv2D(4, 3, strides=0), r"strides must be at least 1"),
        (lambda: layers.Conv2D(4, 3, padding="smae"), r"Unknown padding 'smae'. Did you mean 'same'"),
        (lambda: layers.Conv2D(4, 3, data_format="NHWC"), r"Unknown data_format 'NHWC'"),
        (lambda: layers.Conv2D(4, 3, groups=3), r"filters=4, groups=3"),
        (lambda: layers.Conv2D(4, 3, kernel_constraint="max_nrom"), r"Unknown constraint 'max_nrom'"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=2), r"output_padding must be less than"),
        (lambda: layers.MaxPooling2D(0), r"pool_size must be at least 1"),
        (lambda: layers.Dropout(1.5), r"rate must be a number from 0 to 1; got rate=1.5"),
        (lambda: layers.Reshape((-1, -1)), r"one -1"),
        (lambda: layers.ReLU(max_value=-1.0), r"max_value must not be negative"),
        (lambda: layers.BatchNormalization(momentum=2), r"momentum must be from 0 to 1"),
        (lambda: layers.LayerNormalization(epsilon=-1), r"epsilon must not be negative"),
        (lambda: layers.Input((0, 3)), r"Input sizes must be positive"),
        (lambda: Dense(2, name="a/b"), r"without '/'"),
        (lambda: Dense(2, dtype="int32"), r"float32 or float64; got dtype=int32"),
    ],
)
def test_impossible_arguments_are_said_when_the_layer_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_argument_is_named():
    with pytest.raises(ValueError, match=r"Dense does not know the argument 'unit'"):
        Dense(2, unit=3)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dense(2, name="fc"), (3,), r"Layer 'fc' \(Dense\): expected an input of rank 2 or more, got shape \(3,\)"),
        (layers.Conv2D(2, 3, name="c1"), (4, 5, 5), r"Layer 'c1' \(Conv2D\): expected an input of rank 4"),
        (layers.Conv2D(2, 7, name="c2"), (1, 5, 5, 1), r"Layer 'c2' \(Conv2D\): the window \(7, 7\) is larger"),
        (layers.Conv2D(2, 3, groups=2, name="c3"), (1, 5, 5, 3), r"Layer 'c3'.*3 input channels.*groups=2"),
        (layers.MaxPooling2D(9, name="p"), (1, 5, 5, 1), r"Layer 'p' \(MaxPooling2D\)"),
        (layers.Conv2D(2, 3, name="c4"), (1, 0, 5, 1), r"Layer 'c4'.*not empty"),
        (layers.Reshape((4,), name="r"), (2, 6), r"Layer 'r'.*6 elements, which do not fill \(4,\)"),
        (layers.BatchNormalization(axis=3, name="b"), (2, 6), r"Layer 'b'.*axis 3"),
    ],
)
def test_errors_of_shape_name_the_layer(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, np.float32))


def test_a_built_layer_says_which_size_it_expects():
    dense, conv = Dense(2, name="fc"), layers.Conv2D(2, 3, name="conv", data_format="channels_first")
    dense.build((None, 3))
    conv.build((None, 3, 8, 8))
    with pytest.raises(ValueError, match=r"Layer 'fc'.*expected size 3 on axis -1.*got 4 \(shape \(2, 4\)\)"):
        dense(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"Layer 'conv'.*expected size 3 on axis 1.*got 8"):
        conv(np.zeros((2, 8, 8, 3)))


def test_the_innermost_layer_is_named_once():
    layer = Pair(name="outer")
    layer(np.zeros((2, 5)))
    with pytest.raises(ValueError) as caught:
        layer(np.zeros((2, 6)))
    assert str(caught.value).count("Layer ") == 1
    assert "'first'" in str(caught.value)


@pytest.mark.parametrize("bad", [np.array([["a", "b"]]), np.array([[None, 1]], object), [["a"]]])
def test_text_and_objects_are_refused(bad):
    with pytest.raises(ValueError, match="holds numbers"):
        Dense(2)(bad)


def test_a_failed_build_leaves_the_layer_unbuilt():
    layer = layers.Conv2D(2, 5)
    with pytest.raises(ValueError, match="larger"):
        layer(np.zeros((1, 3, 3, 1)))
    assert not layer.built
    assert layer.weights == []
    assert layer(np.zeros((1, 6, 6, 1))).shape == (1, 2, 2, 2)


def test_input_shape_works_with_a_warning():
    with pytest.warns(UserWarning, match="Input"):
        Dense(2, input_shape=(3,))


def test_regularizers_and_added_losses_are_collected():
    class Penal(Layer):
        def __init__(self):
            super().__init__()
            self.dense = Dense(2, kernel_initializer="ones", kernel_regularizer=lambda w: ops.sum(w) * 0.5)

        def call(self, x):
            self.add_loss(ops.sum(x))
            return self.dense(x)

    layer = Penal()
    for _ in range(2):  # the second call forgets what the first added
        layer(np.ones((1, 3), np.float32))
        assert [float(loss) for loss in layer.losses] == [3.0, 3.0]


def test_activity_regularizers_penalise_the_output():
    layer = Dense(2, kernel_initializer="ones", activity_regularizer="l2")
    for batch in (1, 5):  # as much for a large batch as for a small one
        layer(np.ones((batch, 3), np.float32))
        assert [float(loss) for loss in layer.losses] == pytest.approx([0.01 * 2 * 9])


def test_called_with_an_input_a_layer_is_built_and_gives_a_shape():
    x = layers.Input((4, 6))
    layer = Dense(3)
    y = layer(x)
    assert y.shape == (None, 4, 3)
    assert y.node.operation is layer
    assert y.node.args[0] is x
    assert layer.kernel.shape == (6, 3)


def test_dropout_masks_follow_from_the_layers_own_seed():
    x = np.ones((64, 64), np.float32)
    one, same, other = layers.Dropout(0.25, seed=3), layers.Dropout(0.25, seed=3), layers.Dropout(0.25, seed=4)
    first = one(x, training=True).numpy()
    np.testing.assert_array_equal(first, same(x, training=True).numpy())
    assert (first != other(x, training=True).numpy()).any()
    assert (first != one(x, training=True).numpy()).any(), "every call draws on"
    np.testing.assert_array_equal(np.unique(first), np.array([0, np.float32(1 / 0.75)], np.float32))
    assert abs((first == 0).mean() - 0.25) < 0.03
    assert one(x) is not None
    np.testing.assert_array_equal(one(x).numpy(), x)


def test_dropout_with_a_noise_shape_drops_whole_rows():
    y = layers.Dropout(0.5, noise_shape=(None, 1), seed=1)(np.ones((32, 5), np.float32), training=True).numpy()
    assert set(y.sum(1)) == {0.0, 10.0}
    assert (layers.Dropout(1.0)(np.ones((2, 2)), training=True).numpy() == 0).all()


def test_the_same_seed_gives_the_same_weights():
    made = []
    for _ in range(2):
        random.set_seed(11)
        layer = Dense(4)
        layer.build((None, 3))
        made.append(layer.get_weights()[0])
    np.testing.assert_array_equal(*made)
