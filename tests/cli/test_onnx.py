"""Networks as ONNX files: onnxruntime makes the same logits of them as graft does.

GRAFT_ONNX_DIR is a folder where the unit tests left small networks of unusual operations.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import read_safetensors, write_safetensors
from PIL import Image

h5py = pytest.importorskip("h5py", reason="the golden inputs are in HDF5")
onnx = pytest.importorskip("onnx", reason="onnx of PyPI checks the files; tests/run.sh installs it")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime of PyPI, see tests/run.sh")

TOLERANCE = 1e-4  # of the largest logit
SMALL = [  # at least one of each family, not the largest
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet20",
    "resnet50_v1",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vit_b_32",
]
LARGE = """
    resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2 resnext50_32x4d
    resnext101_32x8d resnext101_64x4d resnet101_v1 resnet152_v1 resnet10_small vgg11 vgg13 vgg16
    vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn squeezenet1_0 resnet32 resnet44 resnet56 resnet110
    densenet161 densenet169 densenet201 densenet121_keras densenet169_keras densenet201_keras
    mobilenet_v2_keras mobilenet_v3_large mnasnet0_75 mnasnet1_0 mnasnet1_3 efficientnet_b1
    efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l efficientnet_b0_keras
    efficientnet_b1_keras efficientnet_b2_keras efficientnet_b3_keras efficientnet_b4_keras
    efficientnet_b5_keras efficientnet_b6_keras efficientnet_b7_keras shufflenet_v2_x1_0
    shufflenet_v2_x1_5 shufflenet_v2_x2_0 regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf
    regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf
    regnet_y_8gf regnet_y_16gf regnet_y_32gf inception_v3_keras convnext_small convnext_base
    convnext_large vit_b_16 vit_l_16 vit_l_32 swin_s swin_b swin_v2_s swin_v2_b
""".split()
HEADS = {  # names of the layers that know the classes; "fc" of all others
    "alexnet": "classifier.6",
    "convnext": "classifier.2",
    "densenet": "classifier",
    "efficientnet": "classifier.1",
    "mnasnet": "classifier.1",
    "mobilenet_v2": "classifier.1",
    "mobilenet_v3": "classifier.3",
    "squeezenet": "classifier.1",
    "swin": "head",
    "vgg": "classifier.6",
    "vit": "heads.head",
}
CIFAR = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
# Gates and SiLU halve the activations in every block: larger shifts would drown the image in them.
FADING = ("efficientnet", "mobilenet_v3")
# Of the norms. Smaller variances make activations grow from block to block, until the
# last bit of a pixel decides about the logits; larger ones make them fade.
VARIANCES = {
    "efficientnet_v2": (1.0, 2.5),
    "mobilenet_v3": (0.7, 1.8),
    "regnet_y_32gf": (0.8, 1.8),
    "": (0.5, 1.5),
}
TOO_LARGE = ["regnet_y_128gf"]  # for the format


def head_of(network):
    if network in CIFAR:
        return "linear"
    return next((head for start, head in HEADS.items() if network.startswith(start)), "fc")


def drawn(network, name, values, random):
    """Values that a norm, a bias or a token could have learnt; None for filters and matrices."""
    shift = 0.01 if network.startswith(FADING) else 0.1
    if name.endswith("running_mean"):
        return random.normal(0, shift, values.shape)
    if name.endswith("running_var"):
        limits = next(v for start, v in VARIANCES.items() if network.startswith(start))
        return random.uniform(*limits, values.shape)
    if name.endswith("layer_scale"):
        return random.uniform(0.1, 0.3, values.shape)
    if "class_token" in name or "pos_embedding" in name:
        return random.normal(0, 0.3, values.shape)
    if values.ndim == 1 and name.endswith("weight"):
        return random.uniform(0.7, 1.5, values.shape)
    if values.ndim == 1 and name.endswith("bias"):
        return random.normal(0, shift, values.shape)
    return None


def make_network(graft, network):
    """A model file with random values in every tensor, and the input with logits that it keeps."""
    rows = {row["name"]: row for row in graft("models", "--json").json}
    bias = np.zeros(rows[network]["classes"], np.float32)
    write_safetensors(graft.folder / "bias.safetensors", {head_of(network) + ".bias": bias})
    graft("convert", "bias.safetensors", "start.h5", "--model", network, "--partial")
    random = np.random.default_rng(0)
    with h5py.File(graft.folder / "start.h5", "r+") as file:
        for name, values in file["tensors"].items():
            new = drawn(network, name, values, random)
            if new is not None:
                values[...] = new
        del file.attrs["checksum"]  # an edit on purpose
    graft("convert", "start.h5", "model.h5")
    return golden_of(graft.folder / "model.h5")


def golden_of(path):
    """(1,3,H,W) and (1,classes)."""
    with h5py.File(path) as file:
        return file["golden/input"][()].transpose(0, 3, 1, 2), file["golden/logits"][()]


def session_of(path):
    onnx.checker.check_model(str(path), full_check=True)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def logits_of(session, images):
    return session.run(["logits"], {"input": np.ascontiguousarray(images, np.float32)})[0]


def difference(got, want):
    assert got.shape == want.shape
    return np.abs(got - want).max() / np.abs(want).max()


def check_against(session, image, logits):
    """One image alone, and as the third of five. -> the worse of both differences"""
    others = np.random.default_rng(1).normal(size=(4, *image.shape[1:]))
    five = logits_of(session, np.concatenate([others[:2], image, others[2:]]))
    worst = max(difference(logits_of(session, image), logits), difference(five[2:3], logits))
    assert worst < TOLERANCE
    # The image says something, or equal logits would prove nothing.
    assert difference(five[:1], logits) > 20 * TOLERANCE
    return worst


def check_network(graft, network, record_property):
    try:
        image, logits = make_network(graft, network)
        graft("convert", "model.h5", "model.onnx", "--side", image.shape[-1])
        worst = check_against(session_of(graft.folder / "model.onnx"), image, logits)
    finally:  # some take a gigabyte
        for file in graft.folder.iterdir():
            file.unlink()
    record_property("network", network)  # for tests/models_page.py
    record_property("onnx", f"{worst:.1e}")


@pytest.mark.parametrize("network", SMALL)
def test_onnxruntime_agrees(graft, network, record_property):
    check_network(graft, network, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("network", LARGE)
def test_onnxruntime_agrees_on_larger_ones(graft, network, record_property):
    check_network(graft, network, record_property)


def test_every_network_is_named(graft):
    assert sorted(SMALL + LARGE + TOO_LARGE) == sorted(r["name"] for r in graft("models", "--json").json)


def odd_networks():
    folder = os.environ.get("GRAFT_ONNX_DIR")
    return sorted(Path(folder).glob("*.onnx")) if folder else []


def test_onnxruntime_agrees_on_unusual_operations():
    paths = odd_networks()
    if not paths:
        pytest.skip("GRAFT_ONNX_DIR names no folder where graft_models_tests left networks")
    wrong = {}
    for path in paths:
        values = read_safetensors(path.with_suffix(".safetensors"))
        images, want = values["input"].transpose(0, 3, 1, 2), values["logits"]
        assert difference(want[:1], want[1:2]) > 20 * TOLERANCE, path.name
        error = difference(logits_of(session_of(path), images), want)
        if not error < TOLERANCE:
            wrong[path.name] = error
    assert not wrong and len(paths) >= 30


# ---- what else stands in the file --------------------------------------------------------------


def test_a_trained_model(graft, model):
    graft("convert", model, "model.h5")
    image, logits = golden_of(graft.folder / "model.h5")
    graft("convert", model, "golden.onnx", "--side", image.shape[-1])
    check_against(session_of(graft.folder / "golden.onnx"), image, logits)


def test_metadata_is_enough_for_a_photograph(graft, model, shapes):
    graft("convert", model, "model.onnx")
    session = session_of(graft.folder / "model.onnx")
    known = session.get_modelmeta().custom_metadata_map
    crop, resize = int(known["crop"]), int(known["resize"])
    assert session.get_inputs()[0].shape == ["N", 3, crop, crop]
    assert session.get_outputs()[0].shape == ["N", 3]
    assert json.loads(known["classes"]) == ["blue", "green", "red"]
    assert known["architecture"] == "resnet10_small" and known["channels"] == "RGB"
    assert known["origin.source"] == "model.h5" and len(known["origin.sha256"]) == 64
    assert session.get_modelmeta().producer_name == "graft"

    photo = Image.open(shapes / "val" / "red" / "1000.png")
    square = photo.resize((resize, resize))  # needs no resizing after that
    square.save(graft.folder / "square.png")
    edge = (resize - crop) // 2
    cut = np.asarray(square, np.float32)[edge : edge + crop, edge : edge + crop]
    mean, std = (np.array(json.loads(known[key]), np.float32) for key in ("mean", "std"))
    x = (cut * np.float32(known["scale"]) - mean) / std
    powers = np.exp(logits_of(session, x.transpose(2, 0, 1)[None])[0])
    report = graft("predict", "--weights", model, "square.png", "--json").json
    told = {c["name"]: c["probability"] for c in report[0]["classes"]}
    for name, share in zip(json.loads(known["classes"]), powers / powers.sum()):
        assert abs(told[name] - share) < 1e-4


def test_published_names_and_shapes(graft, start_weights):
    graft("convert", start_weights[0], "m.onnx")
    graph = onnx.load(graft.folder / "m.onnx").graph
    kept = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for name, values in start_weights[1].items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(kept[name], values, err_msg=name)


def test_the_input_stays_as_it_is(graft, model):
    before = model.read_bytes()
    graft("convert", model, "m.onnx")
    first = (graft.folder / "m.onnx").read_bytes()
    graft("convert", model, "m.onnx")
    assert (graft.folder / "m.onnx").read_bytes() == first
    assert model.read_bytes() == before


def test_a_trunk_that_ends_early(graft, start_weights):
    graft("convert", start_weights[0], "m.h5", "--until", "layer2", "--partial")
    image, logits = golden_of(graft.folder / "m.h5")
    graft("convert", "m.h5", "m.onnx", "--side", image.shape[-1])
    assert difference(logits_of(session_of(graft.folder / "m.onnx"), image), logits) < TOLERANCE


def test_sides(graft, model):
    assert "--side" in graft("convert", model, "m.h5", "--side", 64, code=64).message
    for side, taken in ((0, 32), (47, 47)):
        graft("convert", model, "m.onnx", "--side", side)
        session = session_of(graft.folder / "m.onnx")
        assert session.get_inputs()[0].shape == ["N", 3, taken, taken]
    assert graft("convert", model, "m.onnx", "--side", "-3", code=64).message


def test_too_small_a_side(graft):
    bias = {"classifier.1.bias": np.zeros(1000, np.float32)}
    write_safetensors(graft.folder / "w.safetensors", bias)
    convert = ["convert", "w.safetensors", "m.onnx", "--model", "squeezenet1_1", "--partial"]
    assert "does not fit" in graft(*convert, "--side", 8, code=65).message
    assert not (graft.folder / "m.onnx").exists()
