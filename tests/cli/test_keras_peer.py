"""Whole networks of keras.applications against graft's: tests/keras_check.py in an interpreter that has
Keras 3, GRAFT_PEER_PYTHON (else Debian's, which has none)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parent.parent / "keras_check.py"
PYTHON = os.environ.get("GRAFT_PEER_PYTHON", "/usr/bin/python3")
NAMES = {
    "DenseNet121": "densenet121_keras",
    "InceptionV3": "inception_v3_keras",
    "MobileNetV2": "mobilenet_v2_keras",
    "EfficientNetB0": "efficientnet_b0_keras",
    "ConvNeXtTiny": "convnext_tiny",
    "ResNet50": "resnet50_v1",
}
LARGE = {
    **{f"DenseNet{n}": f"densenet{n}_keras" for n in (169, 201)},
    **{f"EfficientNetB{n}": f"efficientnet_b{n}_keras" for n in range(1, 8)},
    **{f"ConvNeXt{size}": f"convnext_{size.lower()}" for size in ("Small", "Base", "Large")},
    **{f"ResNet{n}": f"resnet{n}_v1" for n in (101, 152)},
    **{f"VGG{n}": f"vgg{n}" for n in (16, 19)},
}


@pytest.fixture(scope="session")
def keras_python():
    probe = subprocess.run(
        [PYTHON, "-c", "import keras, h5py; assert keras.__version__ >= '3'"],
        capture_output=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    if probe.returncode:
        pytest.skip(f"{PYTHON} has no Keras 3; GRAFT_PEER_PYTHON names one that has")
    return PYTHON


@pytest.fixture
def check(keras_python, binary, tmp_path, record_property):
    def run(name, architecture, *options):
        result = compare(keras_python, binary, tmp_path, name, architecture, *options)
        record_property("network", architecture)  # for tests/models_page.py
        record_property("keras", f"{max(result['difference'].values()):.1e}")
        return result

    return run


def compare(keras_python, binary, folder, name, architecture, *options):
    done = subprocess.run(
        [keras_python, CHECK, binary, name, folder, *options],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    print(name, result)
    assert result["architecture"] == architecture and result["skipped"] == []
    assert max(result["difference"].values()) <= 1e-4 < result["spread"] / 20
    assert result.get("preprocessing", 0) <= 1e-4  # of 0..255, or of a deviation
    return result


@pytest.mark.parametrize("name", NAMES)
def test_all_forms_compute_what_keras_does(check, name):
    assert len(check(name, NAMES[name])["difference"]) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_ones_compute_what_keras_does(check, name):
    check(name, LARGE[name], "--forms", "some.weights.h5")
