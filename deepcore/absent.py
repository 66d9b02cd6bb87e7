"""What a script is told where it uses a name that deepcore lacks: the name, and the nearest thing there is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from deepcore.errors import nearest

# Where what is nearest is spelled in another way: names of Keras, and names of deepcore. Several names of one package
# stand together.
_NEAREST: dict[str, str] = {
    "applications": "models layers",
    "distillation": "losses.KLDivergence",
    "distribution": "use_device",
    "export": "saving.save_model",
    "legacy utils.legacy": "saving.serialize_keras_object saving.deserialize_keras_object",
    "optimizers.legacy": "optimizers",
    "quantizers": "dtype_policies",
    "utils.bounding_boxes": "metrics.IoU ops.image",
    "visualization": "utils.plot_model utils.array_to_img",
    "wrappers": "models.Model",
    "preprocessing.text": "utils.text_dataset_from_directory datasets.imdb",
    "Function": "Model",
    "Operation": "Layer",
    "StatelessScope": "Variable",
    "Quantizer": "DTypePolicy",
    "RematScope remat": "no_grad",
    "SymbolicScope": "Input",
    "config.enable_flash_attention config.disable_flash_attention config.is_flash_attention_enabled": "layers.Dot",
    "config.set_backend": "config.backend",
    "initializers.STFT initializers.STFTInitializer initializers.stft": "ops.stft",
    "layers.Attention layers.AdditiveAttention layers.MultiHeadAttention layers.GroupQueryAttention "
    "ops.dot_product_attention ops.nn.dot_product_attention": "layers.Dot layers.Softmax layers.EinsumDense",
    "layers.AugMix layers.CutMix layers.MixUp layers.RandAugment layers.RandomErasing": "layers.RandomCrop",
    "layers.AutoContrast layers.RandomPosterization layers.RandomInvert layers.Solarization layers.Equalization "
    "layers.ContrastLimitedAdaptiveHistogramEqualization layers.RandomColorDegeneration layers.RandomColorJitter "
    "layers.RandomGrayscale layers.RandomHue layers.RandomSaturation": "layers.RandomContrast layers.RandomBrightness",
    "layers.RandomElasticTransform layers.RandomPerspective layers.RandomShear": (
        "layers.RandomTranslation layers.RandomRotation"
    ),
    "layers.RandomGaussianBlur layers.RandomSharpness": "ops.image.gaussian_blur",
    "layers.ConvLSTM1D layers.ConvLSTM2D layers.ConvLSTM3D": "layers.LSTM layers.TimeDistributed layers.Conv2D",
    "layers.Discretization layers.Hashing layers.HashedCrossing layers.IntegerLookup layers.StringLookup "
    "layers.TextVectorization": "layers.CategoryEncoding layers.Embedding",
    "layers.FlaxLayer layers.JaxLayer layers.TFSMLayer layers.TorchModuleWrapper": "layers.Layer layers.Lambda",
    "layers.MaxNumBoundingBoxes": "ops.pad",
    "layers.STFTSpectrogram layers.MelSpectrogram": "ops.stft",
    "losses.CTC losses.ctc ops.ctc_loss ops.nn.ctc_loss ops.ctc_decode ops.nn.ctc_decode": (
        "losses.SparseCategoricalCrossentropy"
    ),
    "ops.moments ops.nn.moments": "ops.mean ops.var",
    "ops.polar ops.nn.polar": "ops.cos ops.sin",
    "ops.psnr ops.nn.psnr ops.image.ssim": "losses.MeanSquaredError",
    "ops.view_as_complex ops.view_as_real": "ops.real ops.imag",
    "ops.image.scale_and_translate ops.image.elastic_transform": "ops.image.affine_transform ops.image.resize",
    "ops.image.sobel_edges": "ops.conv ops.image.gaussian_blur",
    "optimizers.MultiOptimizer optimizers.OptimizerMap": "optimizers.Optimizer",
    "optimizers.ScheduleFreeAdamW": "optimizers.AdamW optimizers.Adam",
    "optimizers.Muon": "optimizers.SGD optimizers.Lion",
    "saving.KerasFileEditor": "saving.load_weights saving.save_weights",
    "utils.FeatureSpace": "layers.CategoryEncoding layers.Normalization",
    "utils.audio_dataset_from_directory": "utils.timeseries_dataset_from_array",
    # Members of classes
    "Model.export": "Model.save",
    "Model.quantize Layer.quantize Layer.enable_lora": "Layer.set_weights",
}
_BY_NAME = {name: places for names, places in _NEAREST.items() for name in names.split()}


def nearest_thing(places: Sequence[str], name: str, known: Iterable[str]) -> str:
    """A sentence, led by a space, that offers the nearest that there is to a name of Keras.

    Args:
        places: where the name was looked for, from ``deepcore`` on; ``""`` for deepcore itself.
        name: what was not found.
        known: the names that are there.
    """
    from difflib import get_close_matches  # only mistakes pay for it

    for place in places:
        dotted = f"{place}.{name}" if place else name
        if dotted in _BY_NAME:
            return f" The nearest there is: {', '.join(f'deepcore.{each}' for each in _BY_NAME[dotted].split())}."
    choices = sorted(known)
    alike = get_close_matches(name, choices, n=1, cutoff=0.0)
    return nearest(name, choices) or (f" The nearest by its spelling: {alike[0]!r}." if alike else "")


def missing_attribute(module_name: str, name: str, known: Iterable[str]) -> Exception:
    """The error for ``module.name``, or ``from module import name``; to be asked for by a module's ``__getattr__``.

    The first raises ``AttributeError``, the second ``ImportError``, both in the same words.
    """
    caller = sys._getframe(2)
    # Not mistakes, and not to be slow: ``from package import module`` looks for an attribute first, and pytest asks
    # every module for private names, none of which Keras documents.
    if name.startswith("_") or caller.f_code.co_name == "_handle_fromlist":
        return AttributeError(f"module {module_name!r} has no attribute {name!r}")
    from dis import opname

    place = module_name.partition(".")[2]
    words = (
        f"module {module_name!r} has no attribute {name!r}: deepcore has no {f'{place}.{name}'.lstrip('.')} yet."
        f"{nearest_thing([place], name, known)}"
    )
    # Python replaces the words of an AttributeError by its own where a name is imported.
    imported = opname[caller.f_code.co_code[caller.f_lasti]] == "IMPORT_FROM"
    return ImportError(words, name=module_name) if imported else AttributeError(words)


class MissingModules:
    """Stands last in ``sys.meta_path``: says, of a module of deepcore that nobody found, what is nearest."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> None:
        """Raises ``ModuleNotFoundError`` for a module of deepcore; leaves all others to Python."""
        package, _, name = fullname.rpartition(".")
        if package.partition(".")[0] != "deepcore":
            return
        from pkgutil import iter_modules

        known = [each.name for each in iter_modules(path or []) if not each.name.startswith("_")]
        place = package.partition(".")[2]
        raise ModuleNotFoundError(
            f"No module named {fullname!r}: deepcore has no module {f'{place}.{name}'.lstrip('.')} yet."
            f"{nearest_thing([place], name, known)}",
            name=fullname,
        )


class MissingMemberError(AttributeError):
    """An attribute that an object lacks. Its words are found when they are read: ``hasattr`` shall cost nothing."""

    def __init__(self, owner: type, name: str, known: Sequence[str] = ()) -> None:
        super().__init__(owner, name, known)

    def __str__(self) -> str:
        owner, name, known = self.args
        public = [each for each in {*dir(owner), *known} if not each.startswith("_")]
        places = [base.__name__ for base in owner.__mro__]
        return f"{owner.__name__!r} object has no attribute {name!r}.{nearest_thing(places, name, public)}"


class Explaining:
    """A base that says, of an attribute that an object lacks, which ones are nearest."""

    if not TYPE_CHECKING:  # every attribute would have a type

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if hasattr(type(self), name):
                return object.__getattribute__(self, name)  # a property whose own error brought Python here
            raise MissingMemberError(type(self), name, tuple(vars(self)))
