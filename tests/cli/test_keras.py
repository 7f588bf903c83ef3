"""Weights that Keras saved, from the file to the network."""

import json
import zipfile

import numpy as np
import pytest
from conftest import read_safetensors

h5py = pytest.importorskip("h5py", reason="it writes files as Keras does")

SQUEEZENET = "weights/squeezenet1_1/squeezenet1_1"
TRUNK = "weights/resnet50_trunk/resnet50_keras_conv1_to_conv4.h5"


def squeezenet_layers():
    """name -> (side, inputs, outputs) of the convolutions of SqueezeNet 1.1."""
    layers, channels = {"conv1": (3, 3, 64)}, 64
    for fire, narrow in zip(range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64)):
        layers[f"fire{fire}/squeeze1x1"] = (1, channels, narrow)
        layers[f"fire{fire}/expand1x1"] = (1, narrow, 4 * narrow)
        layers[f"fire{fire}/expand3x3"] = (3, narrow, 4 * narrow)
        channels = 8 * narrow
    return {**layers, "conv10": (1, channels, 10)}


def write_squeezenet(path, theano=False, leave_out=(), extra=None):
    random = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        names = []
        for name, (side, inputs, outputs) in squeezenet_layers().items():
            kernel = random.normal(0, 0.05, (side, side, inputs, outputs)).astype(np.float32)
            if theano:  # (O,I,H,W), turned by 180 degrees
                kernel = kernel.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
            bias = random.normal(0, 0.05, outputs).astype(np.float32)
            if name in leave_out:
                continue
            group = file.create_group(name)
            group.attrs["weight_names"] = [b"uniform", name.encode() + b"_b"]
            group["uniform"], group[name + "_b"] = np.ascontiguousarray(kernel), bias
            names.append(name.encode())
        if extra:
            file.create_group(extra).attrs["weight_names"] = [b"w"]
            file[extra]["w"] = np.zeros(3, np.float32)
            names.append(extra.encode())
        file.attrs["layer_names"] = names
        if theano:
            file.attrs["backend"] = b"theano"


def test_the_mapping_is_told_and_stored(graft):
    write_squeezenet(graft.folder / "k.h5")
    result = graft("convert", "k.h5", "m.h5", "--json")
    mapping = {m["target"]: m for m in result.json["mapping"]}
    assert result.json["architecture"] == "squeezenet1_1" and len(mapping) == 52
    assert mapping["features.3.expand3x3.weight"] == {
        "source": "fire2/expand3x3/uniform",
        "target": "features.3.expand3x3.weight",
        "transform": "HWIO -> OIHW",
    }
    with h5py.File(graft.folder / "m.h5") as file, h5py.File(graft.folder / "k.h5") as keras:
        kernel = file["tensors/features.3.expand3x3.weight"]
        assert kernel.attrs["source"] == b"fire2/expand3x3/uniform"
        assert kernel.attrs["transform"] == b"HWIO -> OIHW"
        assert np.array_equal(kernel, keras["fire2/expand3x3/uniform"][:].transpose(3, 2, 0, 1))
    assert "fire2/expand3x3/uniform" in result.err
    inspected = graft("inspect", "m.h5", "--json").json["preprocess"]
    assert inspected["channels"] == "BGR" and inspected["mean"] == [104, 117, 123]
    again = graft("convert", "m.h5", "again.h5", "--json").json["mapping"]
    assert again == result.json["mapping"]
    assert "preprocessing" in graft("convert", "k.h5", "m.safetensors").err


def test_both_kinds_of_kernels_agree(graft):
    write_squeezenet(graft.folder / "tf.h5")
    write_squeezenet(graft.folder / "th.h5", theano=True)
    for name in ("tf", "th"):
        graft("convert", f"{name}.h5", f"{name}.safetensors")
    tf, th = (read_safetensors(graft.folder / f"{n}.safetensors") for n in ("tf", "th"))
    assert all(np.array_equal(tf[name], th[name]) for name in tf)


def test_what_is_left_over_is_an_error(graft):
    write_squeezenet(graft.folder / "k.h5", leave_out=["fire5/expand1x1"], extra="mine")
    message = graft("convert", "k.h5", "m.h5", code=65).message
    for part in ("2 missing", "features.7.expand1x1.weight", "1 unexpected: mine/w", "--partial"):
        assert part in message
    assert not (graft.folder / "m.h5").exists()
    for flag in ("--partial", "--allow-partial"):
        graft("convert", "k.h5", "m.h5", flag)
    message = graft("convert", "k.h5", "m.h5", "--model", "resnet50", code=65).message
    assert "squeezenet1_1" in message


def squeezenet_config(stride=2, padding="valid"):
    """What Keras 2 writes as the attribute model_config."""
    layers = [{"class_name": "InputLayer", "config": {"name": "in"}, "inbound_nodes": []}]
    before = "in"
    for name, (side, _, outputs) in squeezenet_layers().items():
        config = {"name": name, "filters": outputs, "kernel_size": [side, side], "padding": "same"}
        if name == "conv1":
            config |= {"strides": [stride, stride], "padding": padding}
        node = [[[before, 0, 0, {}]]]
        layers.append({"class_name": "Conv2D", "config": config, "inbound_nodes": node})
        before = name
    return json.dumps({"class_name": "Model", "config": {"name": "squeezenet", "layers": layers}})


@pytest.mark.parametrize(
    "changed, said, ours",
    [
        ({}, None, None),
        ({"stride": 1}, "stride [1, 1]", "stride [2, 2]"),
        ({"padding": "same"}, 'padding "same"', "padding [0, 0, 0, 0]"),
    ],
)
def test_another_configuration_is_refused(graft, changed, said, ours):
    write_squeezenet(graft.folder / "weights.h5")
    with h5py.File(graft.folder / "weights.h5") as weights, h5py.File(graft.folder / "k.h5", "w") as model:
        weights.copy(weights["/"], model, "model_weights")
        model.attrs["model_config"] = squeezenet_config(**changed).encode()
    result = graft("convert", "k.h5", "m.h5", code=65 if said else 0)
    if said:
        for part in ("k.h5", "conv1", said, ours, "another network"):
            assert part in result.message
        assert not (graft.folder / "m.h5").exists()


def write_archive(path, layers, weights=True):
    """A .keras file of dense layers: names -> (inputs, outputs)."""
    described = [{"class_name": "Dense", "config": {"name": name}} for name in layers]
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for i, shape in enumerate(layers.values()):
            group = file.create_group(f"layers/dense_{i}/vars" if i else "layers/dense/vars")
            group["0"], group["1"] = np.zeros(shape, np.float32), np.zeros(shape[1], np.float32)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps({"config": {"layers": described}}))
        if weights:
            archive.write(path.with_suffix(".h5"), "model.weights.h5")


def test_archives_that_are_no_network_of_ours(graft):
    write_archive(graft.folder / "m.keras", {"mine": (3, 4), "yours": (4, 2)})
    message = graft("convert", "m.keras", "m.h5", code=65).message
    assert "m.keras" in message
    err = graft("convert", "m.keras", "m.h5", "--model", "squeezenet1_1", code=65).err
    assert "mine" in err and "yours" in err
    write_archive(graft.folder / "m.keras", {"mine": (3, 4)}, weights=False)
    for command in (["convert", "m.keras", "m.h5"], ["inspect", "m.keras"]):
        message = graft(*command, code=65).message
        assert "model.weights.h5" in message and "save_weights" in message


def test_weights_in_pieces(graft):
    index = {"metadata": {}, "weight_map": {"layers/dense": "model_00000.weights.h5"}}
    (graft.folder / "model.weights.json").write_text(json.dumps(index))
    assert "as one file" in graft("convert", "model.weights.json", "m.h5", code=65).message


def test_one_wrong_byte(graft):
    """The old format has no checksums: the library may read on, report or crash."""
    with h5py.File(graft.folder / "k.h5", "w") as file:
        group = file.create_group("conv1")
        group["kernel"] = np.zeros((3, 3, 3, 4), np.float32)
        group.attrs["weight_names"], file.attrs["layer_names"] = [b"kernel"], [b"conv1"]
    raw = bytearray((graft.folder / "k.h5").read_bytes())
    random = np.random.default_rng(3)
    for at in random.integers(0, len(raw), 8):
        for value in (0x7F, 0xFF):
            (graft.folder / "flipped.h5").write_bytes(raw[:at] + bytes([value]) + raw[at + 1 :])
            assert "flipped.h5" in graft("convert", "flipped.h5", "m.h5", code=65).err


def test_real_squeezenet(graft, real_data):
    """The same network as .safetensors, whose first convolution was rewritten for RGB and std."""
    graft("convert", real_data / (SQUEEZENET + "_keras_notop.h5"), "k.safetensors", "--partial")
    keras = read_safetensors(graft.folder / "k.safetensors")
    torch = read_safetensors(real_data / (SQUEEZENET + ".safetensors"))
    features = [n for n in torch if n.startswith("features.") and not n.startswith("features.0.")]
    assert len(features) == 48
    assert all(np.array_equal(keras[name], torch[name]) for name in features)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    rgb = keras["features.0.weight"][:, ::-1].astype(np.float64)
    weight = rgb * (255 * std)[:, None, None]
    shift = 255 * mean - np.array([123, 117, 104])
    bias = keras["features.0.bias"] + (rgb * shift[:, None, None]).sum((1, 2, 3))
    for name, expected in (("weight", weight), ("bias", bias)):
        found = torch["features.0." + name]
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max(), name


@pytest.fixture
def trunk(graft, real_data):
    message = graft("convert", real_data / TRUNK, "trunk.h5", code=65).message
    assert "258 tensors fit" in message and "--until layer3" in message
    report = graft("convert", real_data / TRUNK, "trunk.h5", "--until", "layer3", "--json").json
    assert report["architecture"] == "resnet50_v1:layer3" and len(report["loaded"]) == 258
    assert report["missing"] == ["fc.weight", "fc.bias"]
    return graft.folder / "trunk.h5"


def resnet50_v1(torch, keras, image):
    """Conv1 to conv4 as Keras computes them: (N,H,W,3) -> (N,1024)."""
    def conv(x, name, stride=1, padding=0):
        kernel, bias = (torch.from_numpy(keras[f"{name}/{name}/{p}:0"][:]) for p in ("kernel", "bias"))
        kernel = kernel.permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(x, kernel, bias, stride, padding)

    def norm(x, name):
        parts = ("moving_mean", "moving_variance", "gamma", "beta")
        values = [torch.from_numpy(keras[f"{name}/{name}/{p}:0"][:]) for p in parts]
        return torch.nn.functional.batch_norm(x, *values, eps=1.001e-5)

    x = torch.from_numpy(image).permute(0, 3, 1, 2)
    x = norm(conv(x, "conv1_conv", 2, 3), "conv1_bn").relu()
    x = torch.nn.functional.max_pool2d(torch.nn.functional.pad(x, [1] * 4), 3, 2)
    for stage, blocks in ((2, 3), (3, 4), (4, 6)):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            stride = 2 if stage > 2 and block == 1 else 1
            shortcut = x
            if block == 1:
                shortcut = norm(conv(x, name + "_0_conv", stride), name + "_0_bn")
            x = norm(conv(x, name + "_1_conv", stride), name + "_1_bn").relu()
            x = norm(conv(x, name + "_2_conv", 1, 1), name + "_2_bn").relu()
            x = (norm(conv(x, name + "_3_conv"), name + "_3_bn") + shortcut).relu()
    return x.mean((2, 3))


def test_real_resnet50_computes_what_keras_does(graft, real_data, trunk):
    torch = pytest.importorskip("torch")
    with h5py.File(trunk) as ours, h5py.File(real_data / TRUNK) as keras:
        features = resnet50_v1(torch, keras, ours["golden/input"][:]).numpy()
        head = ours["tensors/fc.weight"][:], ours["tensors/fc.bias"][:]
        expected, found = features @ head[0].T + head[1], ours["golden/logits"][:]
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_real_resnet50_trunk_learns_ants_and_bees(graft, real_data, trunk):
    """As well as the head on SqueezeNet that PyTorch trains: 0.90 to 0.94."""
    train = ["train", "--weights", trunk, "--data", real_data / "images/hymenoptera"]
    report = graft(*train, "--freeze", "trunk", "--epochs", 6, "--lr", 0.01, "--out", "run", "--json").json
    print(f"hymenoptera, resnet50_v1:layer3: {[e['val_accuracy'] for e in report['epochs']]}")
    assert report["trained_parameters"] == 2050 and report["val_accuracy"] >= 0.90
    assert graft("inspect", "run/model.h5", "--json").json["frozen_tensors_proven"] == 301
