"""graft soup averages weights; --tta flip averages what is said of an image and its mirror."""

import numpy as np
import pytest
from conftest import read_hdf5, read_safetensors, write_safetensors
from PIL import Image


def tensors(path):
    return {k: v for k, v in read_hdf5(path).items() if k.startswith("tensors/")}


@pytest.fixture(scope="module")
def two(binary, start_weights, shapes, tmp_path_factory):
    """Two models that were fine-tuned from the same weights."""
    from conftest import Program

    folder = tmp_path_factory.mktemp("two")
    for out, seed in (("a", 1), ("b", 2)):
        args = ["--model", "resnet10_small", "--weights", start_weights[0], "--data", shapes, "--freeze", "until:layer3"]
        args += ["--epochs", 1, "--batch", 8, "--lr", 0.01, "--threads", 1, "--seed", seed, "--out", out]
        Program(binary, folder)("train", *args)
    return folder / "a/model.h5", folder / "b/model.h5"


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
def test_interpolates(graft, two, alpha):
    report = graft("soup", "--alpha", alpha, *two, "-o", "soup.h5", "--json").json
    assert report["shares"] == [1 - alpha, alpha]
    a, b = (tensors(path) for path in two)
    for name, values in tensors(graft.folder / "soup.h5").items():
        if values.dtype != np.float32:
            assert np.array_equal(values, a[name])
            continue
        want = ((1 - alpha) * a[name].astype(np.float64) + alpha * b[name].astype(np.float64)).astype(np.float32)
        assert np.array_equal(values, want), name


def test_the_mean_of_three(graft, two, shapes):
    graft("soup", *two, two[0], "-o", "soup.h5")
    a, b = (tensors(path) for path in two)
    soup = tensors(graft.folder / "soup.h5")
    want = (2 * a["tensors/fc.weight"].astype(np.float64) + b["tensors/fc.weight"]) / 3
    np.testing.assert_allclose(soup["tensors/fc.weight"], want, rtol=1e-6)
    graft("verify", "soup.h5")
    assert graft("inspect", "soup.h5", "--json").json["frozen_tensors_proven"] > 0  # what stayed in all
    graft("eval", "--weights", "soup.h5", "--data", shapes / "val")


def test_another_origin_is_said(graft, two, shapes):
    """Frozen in both and yet not the same: they did not begin alike."""
    args = ["--model", "resnet10_small", "--weights", "none", "--data", shapes, "--freeze", "until:layer3"]
    graft("train", *args, "--epochs", 1, "--batch", 8, "--threads", 1, "--seed", 5, "--out", "c")
    err = graft("soup", two[0], "c/model.h5", "-o", "soup.h5").err
    assert "warning" in err and "not trained from the same weights" in err and "bn1" in err
    assert "warning" not in graft("soup", *two, "-o", "soup.h5").err


def test_no_input_is_overwritten(graft, two):
    (graft.folder / "link.h5").symlink_to(two[1])
    before = [path.read_bytes() for path in two]
    for out in (two[0], two[1], "link.h5"):
        assert "another file" in graft("soup", *two, "-o", out, code=64).message
    assert before == [path.read_bytes() for path in two]


def test_stored_images_cannot_be_averaged(graft, model, shapes):
    graft("train", "--weights", model, "--freeze", "trunk", "--head", "knn:3", "--data", shapes, "--out", "run")
    stored = graft.folder / "run/model.h5"
    assert "--head linear" in graft("soup", stored, stored, "-o", "soup.h5", code=64).message
    assert not (graft.folder / "soup.h5").exists()


def test_what_cannot_be_averaged(graft, two, model, shapes):
    assert "--alpha" in graft("soup", "--alpha", 0.5, *two, two[0], "-o", "soup.h5", code=64).message
    assert "two models" in graft("soup", two[0], "-o", "soup.h5", code=64).message
    graft("soup", "--alpha", 1.1, *two, "-o", "soup.h5", code=64)
    graft("soup", *two, code=64)
    args = ["--model", "squeezenet1_1", "--weights", "none", "--data", shapes, "--image-size", 64, "--epochs", 1]
    graft("train", *args, "--threads", 1, "--out", "other")
    assert "architectures" in graft("soup", two[0], "other/model.h5", "-o", "soup.h5", code=65).message
    graft("convert", two[0], "named.safetensors")
    raw = read_safetensors(graft.folder / "named.safetensors")
    write_safetensors(graft.folder / "plain.safetensors", raw)
    message = graft("soup", two[0], "plain.safetensors", "-o", "soup.h5", code=65).message
    assert "classes" in message or "preprocessing" in message
    assert not (graft.folder / "soup.h5").exists()


# ---- test-time augmentation -------------------------------------------------------------------


def probabilities(graft, model, path, *more):
    report = graft("predict", "--weights", model, path, "--json", "--threads", 1, *more).json
    return {c["name"]: c["probability"] for c in report[0]["classes"]}


def test_flip_is_the_mean_of_both(graft, model):
    random = np.random.default_rng(5)
    pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(graft.folder / "a.png")
    Image.fromarray(pixels[:, ::-1].copy()).save(graft.folder / "b.png")
    one, other = (probabilities(graft, model, name) for name in ("a.png", "b.png"))
    both = probabilities(graft, model, "a.png", "--tta", "flip")
    assert one != other
    for name in one:
        assert both[name] == pytest.approx((one[name] + other[name]) / 2, abs=1e-5)


def test_flip_is_measured(graft, model, shapes):
    plain = graft("eval", "--weights", model, "--data", shapes / "val", "--json").json
    flip = graft("eval", "--weights", model, "--data", shapes / "val", "--tta", "flip", "--json").json
    assert flip["images"] == plain["images"] and flip["loss"] != plain["loss"]
    for command in (["eval", "--data", shapes / "val"], ["predict", "x.png"]):
        assert "--tta" in graft(*command, "--weights", model, "--tta", "five", code=64).message
