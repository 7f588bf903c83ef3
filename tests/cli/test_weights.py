"""Weights that do not fit, are no weights, or are not finite."""

import gzip
import zipfile

import numpy as np
import pytest
from conftest import read_safetensors, write_safetensors


@pytest.fixture
def weights(start_weights, tmp_path):
    return dict(start_weights[1]), tmp_path / "w.safetensors"


def inspect_and_convert(graft, path, code=65):
    return graft("convert", path, "out.h5", code=code).message


def test_they_are_recognised(graft, start_weights):
    report = graft("convert", start_weights[0], "out.h5", "--json").json
    assert report["architecture"] == "resnet10_small" and report["classes"] == 10
    assert len(report["loaded"]) == len(start_weights[1])
    assert graft("inspect", start_weights[0], "--json").json["architecture"] == "resnet10_small"


def test_wrong_architecture(graft, start_weights, model):
    message = graft("convert", start_weights[0], "out.h5", "--model", "resnet18", code=65).message
    assert "resnet18" in message and "looks like a resnet10_small" in message
    message = graft("eval", "--weights", model, "--data", ".", "--model", "vgg11", code=65).message
    assert "resnet10_small" in message and "vgg11" in message
    assert not (graft.folder / "out.h5").exists()


def test_every_difference_is_listed_at_once(graft, weights):
    tensors, path = weights
    del tensors["bn1.weight"], tensors["layer2.0.conv1.weight"]
    tensors["extra.one"] = tensors["extra.two"] = np.zeros(3, np.float32)
    for name in ("layer3.0.bn1.bias", "layer4.0.conv2.weight"):
        tensors[name] = np.zeros((2, 3), np.float32)
    write_safetensors(path, tensors)
    message = graft("convert", path, "out.h5", "--model", "resnet10_small", code=65).message
    for part in (
        "2 missing",
        "bn1.weight",
        "layer2.0.conv1.weight",
        "2 unexpected",
        "extra.one",
        "extra.two",
        "2 misshapen",
        "layer3.0.bn1.bias: file [2, 3], model [64]",
        "layer4.0.conv2.weight",
    ):
        assert part in message
    assert not (graft.folder / "out.h5").exists()
    assert "--model" in inspect_and_convert(graft, path)


def test_partial_weights(graft, weights, shapes):
    tensors, path = weights
    del tensors["fc.weight"], tensors["fc.bias"]
    tensors["extra"] = np.zeros(3, np.float32)
    write_safetensors(path, tensors)
    assert (
        "--partial"
        in graft(
            "train", "--model", "resnet10_small", "--weights", path, "--data", shapes, code=65
        ).message
    )
    result = graft(
        "train",
        "--model",
        "resnet10_small",
        "--weights",
        path,
        "--data",
        shapes,
        "--partial",
        "--epochs",
        1,
        "--out",
        "run",
        "--threads",
        1,
    )
    assert (
        "2 missing: fc.weight, fc.bias" in result.err.replace(" and ", ", ")
        and "1 unexpected" in result.err
    )
    graft("convert", "run/model.h5", "after.safetensors")
    after = read_safetensors(graft.folder / "after.safetensors")
    for name in tensors.keys() & after.keys():
        assert np.array_equal(tensors[name], after[name]), name


def test_nothing_that_fits_is_always_an_error(graft, tmp_path):
    write_safetensors(tmp_path / "other.safetensors", {"a": np.zeros(3, np.float32)})
    for more in ([], ["--partial"]):
        message = graft(
            "convert", "other.safetensors", "out.h5", "--model", "resnet18", *more, code=65
        ).message
        assert "0 tensors fit" in message or "none of its tensors" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(graft, weights, value):
    tensors, path = weights
    tensors["layer1.0.conv1.weight"] = tensors["layer1.0.conv1.weight"].copy()
    tensors["layer1.0.conv1.weight"].flat[[3, 5]] = value
    write_safetensors(path, tensors)
    result = graft("convert", path, "out.h5", code=65)
    assert "layer1.0.conv1.weight: 2 of" in result.err and "--allow-nonfinite" in result.err
    result = graft("convert", path, "out.h5", "--allow-nonfinite")
    assert "warning" in result.err and "layer1.0.conv1.weight: 2 of" in result.err
    graft("convert", "out.h5", "back.safetensors", code=65)
    graft("convert", "out.h5", "back.safetensors", "--allow-nonfinite")
    back = read_safetensors(graft.folder / "back.safetensors")["layer1.0.conv1.weight"]
    assert np.array_equal(back, tensors["layer1.0.conv1.weight"], equal_nan=True)


def test_a_head_that_is_not_finite_can_be_replaced(graft, weights, shapes):
    tensors, path = weights
    head = max(name for name in tensors if name.endswith("fc.weight"))
    tensors[head] = np.full_like(tensors[head], np.nan)
    write_safetensors(path, tensors)
    train = ["train", "--weights", path, "--data", shapes, "--epochs", 1, "--out", "run"]
    assert f"{head}: " in graft(*train, code=65).err
    graft(*train, "--allow-nonfinite")
    graft("inspect", "run/model.h5")


def test_half_precision_is_widened(graft, weights):
    tensors, path = weights
    half = {n: v.astype(np.float16) if v.dtype == np.float32 else v for n, v in tensors.items()}
    write_safetensors(path, half)
    graft("convert", path, "out.h5")
    graft("convert", "out.h5", "back.safetensors")
    for name, values in read_safetensors(graft.folder / "back.safetensors").items():
        assert np.array_equal(values, half[name].astype(values.dtype)), name


def not_weights():
    return {
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git-LFS"),
        "gzip": (gzip.compress(b"x" * 100), "gunzip"),
        "empty": (b"", "empty"),
        "html": (b"<!DOCTYPE html><html>not found</html>", "web page"),
        "text": (b"hello", "HDF5"),
        "pickle": (b"\x80\x02}q\x00.", "pickle"),
        "zeros": (bytes(4096), ""),
    }


@pytest.mark.parametrize("kind", not_weights())
@pytest.mark.parametrize("command", ["convert", "inspect", "eval", "train"])
def test_files_that_are_no_weights(graft, kind, command, shapes):
    content, word = not_weights()[kind]
    (graft.folder / "weights.h5").write_bytes(content)
    args = {
        "convert": ["weights.h5", "out.h5"],
        "inspect": ["weights.h5"],
        "eval": ["--weights", "weights.h5", "--data", shapes],
        "train": ["--weights", "weights.h5", "--data", shapes],
    }[command]
    message = graft(command, *args, code=65).message
    assert "weights.h5" in message and word in message
    assert sorted(p.name for p in graft.folder.iterdir()) == ["weights.h5"]


def test_other_archives_are_told_what_to_do(graft):
    with zipfile.ZipFile(graft.folder / "model.keras", "w") as file:
        file.writestr("config.json", "{}")
    message = inspect_and_convert(graft, "model.keras")
    assert "model.keras" in message and "no data.pkl" in message and "safetensors" in message


def test_weights_that_are_not_there(graft, shapes):
    assert "gone.h5" in graft("eval", "--weights", "gone.h5", "--data", shapes, code=66).message
    assert "gone.h5" in graft("inspect", "gone.h5", code=66).message
    assert "." in graft("inspect", ".", code=65).message


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_cut_files(graft, model, start_weights, part):
    for source, name in ((model, "cut.h5"), (start_weights[0], "cut.safetensors")):
        raw = source.read_bytes()
        (graft.folder / name).write_bytes(raw[: int(len(raw) * part)])
        assert name in inspect_and_convert(graft, name)
        assert name in graft("inspect", name, code=65).message


def test_one_wrong_byte(graft, model):
    raw = bytearray(model.read_bytes())
    for at in range(100, len(raw), len(raw) // 12):
        raw[at] ^= 0x10
        (graft.folder / "flipped.h5").write_bytes(raw)
        assert "flipped.h5" in graft("inspect", "flipped.h5", code=65).message
        raw[at] ^= 0x10


def test_golden_input(graft, model, start_weights, shapes):
    graft("eval", "--weights", model, "--data", shapes, "--verify")
    message = graft(
        "eval", "--weights", start_weights[0], "--data", shapes, "--verify", code=65
    ).message
    assert "golden" in message
