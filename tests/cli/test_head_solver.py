"""graft train --head-solver lbfgs: the head is solved on features that are computed once."""

import signal

import numpy as np
import pytest
from conftest import read_hdf5

SOLVE = ["--model", "resnet10_small", "--freeze", "trunk", "--head-solver", "lbfgs", "--threads", 1]
TRUNK = "weights/resnet50_trunk/resnet50_keras_conv1_to_conv4.h5"


def test_solves_for_the_head(graft, model, shapes):
    """The trunk has learnt these classes, and no head is better in the objective than the solved."""
    report = graft("train", "--weights", model, *SOLVE, "--data", shapes, "--out", "run", "--json").json
    assert report["val_accuracy"] >= 0.9 and report["trained_parameters"] == 3 * 129
    assert len(report["epochs"]) == 1
    again = graft("eval", "--weights", "run/model.h5", "--data", shapes / "val", "--json").json
    assert again["top1"] == report["val_accuracy"]
    assert graft("inspect", "run/model.h5", "--json").json["frozen_tensors_proven"] > 0


def test_the_same_bits_again(graft, model, shapes):
    for out in ("a", "b"):
        graft("train", "--weights", model, *SOLVE, "--data", shapes, "--out", out)
    a, b = (read_hdf5(graft.folder / out / "model.h5") for out in ("a", "b"))
    assert all(np.array_equal(a[name], b[name]) for name in a if name.startswith("tensors/"))


def test_a_larger_penalty_makes_smaller_weights(graft, model, shapes):
    norms = []
    for decay in (1e-3, 1):
        solve = [*SOLVE, "--weight-decay", decay, "--out", str(decay)]
        graft("train", "--weights", model, *solve, "--data", shapes)
        norms.append(np.linalg.norm(read_hdf5(graft.folder / str(decay) / "model.h5")["tensors/fc.weight"]))
    assert norms[1] < norms[0] / 2


@pytest.mark.parametrize(
    "args, word",
    [
        (["--epochs", 3], "--epochs"),
        (["--lr", 0.1], "--lr"),
        (["--optimizer", "adamw"], "--optimizer"),
        (["--augment", "standard"], "--augment"),
        (["--head-solver", "newton"], "newton"),
        (["--freeze", "until:layer4"], "layer4"),
        (["--freeze", "none"], "conv1"),
    ],
)
def test_what_cannot_be_is_said(graft, model, shapes, args, word):
    told = [*SOLVE, *args]
    if args[0] in ("--head-solver", "--freeze"):
        at = SOLVE.index(args[0])
        told = [*SOLVE[:at], *args, *SOLVE[at + 2 :]]
    result = graft("train", "--weights", model, *told, "--data", shapes, "--out", "run", code=64)
    assert word in result.message
    assert not (graft.folder / "run/model.h5").exists()


@pytest.mark.parametrize(
    "args, words",
    [
        (["--freeze", "until:layer4", "--head-solver", "lbfgs"], ["layer4"]),
        (["--recipe", "lp-ft", "--head", "mlp:8"], ["mlp:8", "--probe-epochs"]),
        (["--recipe", "lp-ft", "--head", "cosine"], ["cosine", "--probe-epochs"]),
    ],
)
def test_what_cannot_be_solved_leaves_the_run_before_alone(graft, model, shapes, args, words):
    run = ["train", "--weights", model, "--data", shapes, "--threads", 1, "--out", "run"]
    graft(*run, "--epochs", 1)
    before = {path.name: path.read_bytes() for path in (graft.folder / "run").iterdir()}
    message = graft(*run, *args, code=64).message
    assert all(word in message for word in words)
    assert {path.name: path.read_bytes() for path in (graft.folder / "run").iterdir()} == before


@pytest.mark.parametrize("args", [["--head-solver", "lbfgs"], ["--recipe", "lp-ft", "--freeze", "none"]])
def test_a_solver_that_does_not_converge_is_an_error(graft, model, shapes, args):
    run = ["train", "--weights", model, "--data", shapes, "--out", "run", *args]
    message = graft(*run, "--solver-iterations", 2, code=70).message
    assert "not converged after 2 iterations" in message and "--solver-iterations" in message
    assert ("--probe-epochs" in message) == (args[0] == "--recipe")
    assert not (graft.folder / "run/model.h5").exists()
    graft(*run, "--solver-iterations", 500, "--epochs", 1) if args[0] == "--recipe" else graft(*run)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("args", [SOLVE, ["--recipe", "lp-ft", "--freeze", "until:layer4"]])
def test_a_head_that_is_not_solved_leaves_the_run_before(graft, model, shapes, args):
    graft("train", "--weights", model, "--data", shapes, "--epochs", 2, "--out", "run")
    before = files_of(graft.folder / "run")
    run = ["train", "--weights", model, "--data", shapes, "--out", "run", *args]
    assert "not converged" in graft(*run, "--solver-iterations", 1, code=70).message
    assert files_of(graft.folder / "run") == before
    graft("train", "--resume", "--out", "run")
    assert len((graft.folder / "run/events.jsonl").read_text().splitlines()) == 2


def test_iterations_are_for_what_iterates(graft, model, shapes):
    for solver in (["--head-solver", "ridge"], ["--head", "knn:3"], []):
        args = ["train", "--weights", model, "--data", shapes, *solver, "--solver-iterations", 5]
        assert "--solver-iterations" in graft(*args, code=64).message


def test_stopped_and_resumed(graft, model, shapes):
    """A stop while features are computed: the run begins anew and ends with the same bits."""
    train = ["train", "--weights", model, *SOLVE, "--data", shapes, "--batch", 1]
    graft(*train, "--out", "whole")
    process = graft.start(*train, "--out", "run")
    if not graft.stop_when(process, lambda: (graft.folder / "run/.lock").exists(), signal.SIGINT):
        pytest.skip("it was done before it could be stopped")
    assert graft.finish(process, code=None).code in (0, 128 + signal.SIGINT, -signal.SIGINT)
    if (graft.folder / "run/checkpoint.h5").exists():
        graft("train", "--resume", "--out", "run")
    else:  # stopped before the first image
        graft(*train, "--out", "run")
    a, b = (read_hdf5(graft.folder / out / "model.h5") for out in ("whole", "run"))
    assert all(np.array_equal(a[name], b[name]) for name in a if name.startswith("tensors/"))


def test_real_resnet50_trunk_knows_tumours(graft, real_data):
    """At least what a converged logistic regression on SqueezeNet's features reaches: 0.486."""
    graft("convert", real_data / TRUNK, "trunk.h5", "--model", "resnet50_v1", "--until", "layer3", "--partial")
    data = real_data / "images/mri_small"
    report = graft("train", "--weights", "trunk.h5", "--data", data, "--head-solver", "lbfgs", "--json").json
    print(f"mri_small, resnet50_v1:layer3: {report['val_accuracy']}")
    assert report["val_accuracy"] >= 0.486
