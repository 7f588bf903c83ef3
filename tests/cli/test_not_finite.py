"""A loss or a gradient that is not finite ends training in one line that names the layer it comes from, and
leaves the files of the good epochs as they are."""

import hashlib

import numpy as np
import pytest

from conftest import SMALL, write_safetensors, write_unteachable

# With --lr 1e6 decay makes a matrix a million times larger in each step: f32 ends with the seventh.
EXPLODING = ["--weight-decay", 1, "--momentum", 0, "--augment", "none", "--freeze", "trunk"]


def train(graft, shapes, *more, code=70):
    return graft("train", *SMALL, "--data", shapes, "--epochs", 6, "--out", "run", *more, code=code)


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.h5")}


def only_line(result):
    lines = [line for line in result.err.splitlines() if line.startswith("graft: ")]
    assert len(lines) == 1, result.err
    return lines[0]


@pytest.mark.parametrize("how", [[], ["--cache", "off"], ["--mixup", 1, "--cutmix", 1], ["--ema", 0.5]])
def test_good_epochs_outlive_a_loss_that_explodes(graft, shapes, how):
    """Three steps an epoch: two epochs are good, the third one breaks the head."""
    result = train(graft, shapes, *EXPLODING, "--lr", 1e6, "--batch", 12, *how)
    line = only_line(result)
    assert "training: the loss is" in line and "at step 7, not finite from fc.weight on" in line
    assert "--lr" in line and "--clip-norm" in line
    run = graft.folder / "run"
    good = hashes(run)
    assert {"model.h5", "checkpoint.h5"} <= good.keys()
    assert len((run / "events.jsonl").read_text().splitlines()) == 2
    graft("verify", "run/model.h5")
    assert only_line(graft("train", "--resume", "--out", "run", code=70)) == line
    assert hashes(run) == good


def test_an_evaluation_that_is_not_finite_names_the_layer(graft, shapes):
    """A first epoch of eight steps, the last of which breaks the head: nothing is written."""
    line = only_line(train(graft, shapes, *EXPLODING, "--lr", 1e5, "--batch", 5))
    assert "evaluation: the loss is" in line and "not finite from fc.weight on" in line
    assert hashes(graft.folder / "run") == {}


@pytest.mark.parametrize("plan, value", [("none", np.nan), ("none", np.inf), ("trunk", np.inf),
                                         ("until:layer4", np.inf)])
def test_weights_that_are_not_finite_are_named(graft, start_weights, shapes, plan, value):
    tensors = {name: values.copy() for name, values in start_weights[1].items()}
    tensors["layer3.0.conv1.weight"].flat[7] = value
    write_safetensors(graft.folder / "broken.safetensors", tensors)
    args = ["train", "--model", "resnet10_small", "--weights", "broken.safetensors", "--allow-nonfinite",
            "--threads", 1, "--data", shapes, "--freeze", plan, "--epochs", 2, "--out", "run"]
    line = only_line(graft(*args, code=70))
    assert "at step 0, not finite from layer3.0.conv1.weight on" in line
    assert hashes(graft.folder / "run") == {}


@pytest.mark.parametrize("how", [[], ["--optimizer", "adamw"], ["--clip-norm", 1]])
def test_a_gradient_that_is_not_finite_leaves_the_good_phase(graft, start_weights, shapes, how):
    """The probe of the head is good and written; the first step of all others is not."""
    weights = write_unteachable(graft.folder / "huge.safetensors", start_weights[1])
    args = ["train", "--model", "resnet10_small", "--weights", weights, "--threads", 1, "--data", shapes,
            "--batch", 12, "--augment", "none", "--recipe", "lp-ft", "--epochs", 2, "--out", "run", *how]
    line = only_line(graft(*args, code=70))
    assert "the gradient is not finite at step 0, that of layer4.0.conv2.weight before all others" in line
    run = graft.folder / "run"
    good = hashes(run)
    assert {"model.h5", "checkpoint.h5"} <= good.keys()
    assert len((run / "events.jsonl").read_text().splitlines()) == 1
    graft("verify", "run/model.h5")
    assert only_line(graft("train", "--resume", "--out", "run", code=70)) == line
    assert hashes(run) == good
