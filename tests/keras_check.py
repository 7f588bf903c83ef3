#!/usr/bin/python3
"""A network of keras.applications against the row of the zoo that reads its weights.

  tests/keras_check.py build/graft DenseNet121 FOLDER [--forms model.keras ...]
  tests/keras_check.py --names   (digests of names and shapes, for models_keras_test.cpp)

Keras 3 makes the network with random weights in which nothing is an identity that would hide a
mistake, and saves it in each form; `graft convert` reads each, and Keras computes the logits of the
input that the model file keeps. Prints one JSON object: what graft took it for, the largest
difference relative to the largest logit, the same between two images ("spread", which must be
far larger, or equal logits prove nothing), and the difference of the pixels' preprocessing.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
FORMS = ["model.h5", "bare.h5", "some.weights.h5", "model.keras"]
INSIDE = "EfficientNet|ConvNeXt"  # these prepare the pixels themselves
CLASSES = 7


def side_of(name):
    """Of the small image that graft keeps for it (ZooRow::small); VGG's matrices fit one side only."""
    if name.startswith("VGG"):
        return 224
    if name == "InceptionV3":
        return 96
    return 75 if re.match("MobileNetV2|EfficientNet", name) else 64


def build(keras, numpy, name):
    application = getattr(keras.applications, name)
    side = side_of(name)
    model = application(
        weights=None, classes=CLASSES, classifier_activation=None, input_shape=(side, side, 3)
    )
    random = numpy.random.default_rng(1)
    for layer in model._flatten_layers():
        for weight in layer._trainable_variables + layer._non_trainable_variables:
            part, shape = weight.path.split("/")[-1], tuple(weight.shape)
            if "seed" in weight.path or part == "count":
                continue
            if type(layer).__name__ == "Normalization":  # of pixels from 0 to 1
                values = random.uniform(*((0.4, 0.5) if part == "mean" else (0.04, 0.06)), shape)
            elif len(shape) > 1:
                inputs = numpy.prod(shape[:2]) if "depthwise" in weight.path else numpy.prod(shape[:-1])
                values = random.normal(0, (2 / inputs) ** 0.5, shape)
            elif part in ("gamma", "moving_variance", "variance", "variable"):
                values = random.uniform(0.5, 1.5, shape)
            else:
                values = random.normal(0, 0.1, shape)
            # Small branches, and gates near a half, keep rounding small in a deep network.
            if re.search("(_3_bn|project_bn)/gamma|se_expand/kernel", weight.path.lower()):
                values = 0.1 * values
            weight.assign(values.astype("float32"))
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            layer.finalize_state()
    settle_statistics(keras, numpy, model, images(numpy, name, 8, random), random)
    return model


def images(numpy, name, count, random):
    """Random ones as the network takes them, (count,H,W,3)."""
    values = random.normal(size=(count, side_of(name), side_of(name), 3))
    return (values * 60 + 120 if re.match(INSIDE, name) else values).astype("float32")


def settle_statistics(keras, numpy, model, x, random):
    """Moving statistics near those of what reaches each norm. Just any would do for a shallow network;
    in an EfficientNet, where every gate halves, they would let the image fade from the logits."""
    call = keras.layers.BatchNormalization.call

    def settling(norm, inputs, **options):
        values = keras.ops.convert_to_numpy(inputs)
        mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
        norm.moving_mean.assign(mean + 0.2 * variance**0.5 * random.normal(size=mean.shape))
        norm.moving_variance.assign(variance * random.uniform(0.6, 1.5, mean.shape))
        return call(norm, inputs, **options)

    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers):
        keras.layers.BatchNormalization.call = settling
        model(x, training=False)
        keras.layers.BatchNormalization.call = call


def save(model, path):
    import h5py

    if path.name == "bare.h5":  # weights only, as Keras 1 and 2 saved them
        model.save(path.with_name("whole.h5"))
        with h5py.File(path.with_name("whole.h5")) as whole, h5py.File(path, "w") as bare:
            for name in whole["model_weights"]:
                whole.copy(f"model_weights/{name}", bare)
            for name, value in whole["model_weights"].attrs.items():
                bare.attrs[name] = value
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)


def module_of(keras, name):
    """keras.applications.<family>, which has preprocess_input."""
    family = {"DenseNet": "densenet", "InceptionV3": "inception_v3", "MobileNetV2": "mobilenet_v2",
              "ResNet": "resnet", "VGG16": "vgg16", "VGG19": "vgg19"}
    return next((getattr(keras.applications, m) for p, m in family.items() if name.startswith(p)), None)


def preprocessing_differs(keras, numpy, name, p):
    """Largest difference of a pixel's value as the network sees it."""
    pixels = numpy.random.default_rng(2).integers(0, 256, (1, 8, 8, 3)).astype("float32")
    ours = pixels[..., ::-1] if p["channels"] == "BGR" else pixels
    ours = (ours * p["scale"] - numpy.array(p["mean"])) / numpy.array(p["std"])
    return float(numpy.abs(ours - module_of(keras, name).preprocess_input(pixels.copy())).max())


def logits_of(keras, model, x):
    """Away from 224 pixels VGG's maps are averaged to 7x7, as graft and torchvision do."""
    if not model.name.startswith("vgg"):
        return keras.ops.convert_to_numpy(model(x, training=False))
    from torch.nn.functional import adaptive_avg_pool2d

    x = keras.ops.convert_to_tensor(x)
    for layer in model.layers[1:]:
        if layer.name == "flatten":
            x = adaptive_avg_pool2d(x.permute(0, 3, 1, 2), 7).permute(0, 2, 3, 1)
        x = layer(x)
    return keras.ops.convert_to_numpy(x)


def print_digests():
    import keras

    names = ["VGG16", "VGG19", "InceptionV3", "MobileNetV2"]
    names += [f"ResNet{n}" for n in (50, 101, 152)] + [f"DenseNet{n}" for n in (121, 169, 201)]
    names += [f"EfficientNetB{n}" for n in range(8)]
    names += [f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large")]
    for name in names:
        keras.backend.clear_session()  # numbers in names begin anew
        with keras.device("meta"):  # no memory
            model = getattr(keras.applications, name)(weights=None)
        lines = []
        for layer in model._flatten_layers():
            weights = layer._trainable_variables + layer._non_trainable_variables
            if weights and type(layer).__name__ not in ("Normalization", "SeedGenerator", "Dropout"):
                lines.append(" ".join([layer.name, *map(str, weights[0].shape)]) + "\n")
        print(name, hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:16])


def main():
    if sys.argv[1:] == ["--names"]:
        return print_digests()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--forms", nargs="*", default=FORMS)
    options = parser.parse_args()
    import h5py
    import keras
    import numpy

    def graft(*args):
        done = subprocess.run([options.graft, *map(str, args), "--json"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"graft {args}: {done.returncode}\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    model = build(keras, numpy, options.name)
    result = {"difference": {}}
    for form in options.forms:
        save(model, options.folder / form)
        report = graft("convert", options.folder / form, options.folder / "graft.h5")
        result["architecture"], result["skipped"] = report["architecture"], report["skipped"]
        inspected = graft("inspect", options.folder / "graft.h5")["preprocess"]
        with h5py.File(options.folder / "graft.h5") as file:
            x, found = file["golden/input"][:], file["golden/logits"][:]
        if re.match(INSIDE, options.name):
            x = (x * numpy.array(inspected["std"]) + numpy.array(inspected["mean"])) / inspected["scale"]
        else:
            result["preprocessing"] = preprocessing_differs(keras, numpy, options.name, inspected)
        expected = logits_of(keras, model, x.astype("float32"))
        result["logits"] = [float(expected.min()), float(expected.max())]
        result["difference"][form] = float(numpy.abs(found - expected).max() / numpy.abs(expected).max())
    others = logits_of(keras, model, images(numpy, options.name, 2, numpy.random.default_rng(3)))
    result["spread"] = float(numpy.abs(others[0] - others[1]).max() / numpy.abs(others).max())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
