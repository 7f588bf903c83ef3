"""The program on a CUDA device that is simulated (GRAFT_SIM, a graft built with GRAFT_CUDA=SIM): the same
answers as on the processor, and every fault of a device as one line and an exit code."""

import json
import os
from pathlib import Path

import pytest

from conftest import SMALL, Program, losses, make_data

FIRST_EPOCH = 1100  # calls of the runtime, after which the second one is on its way
TINY = [*SMALL, "--batch", 2, "--image-size", 8, "--augment", "none"]


@pytest.fixture
def sim(tmp_path):
    path = os.environ.get("GRAFT_SIM")
    if not path:
        pytest.skip("GRAFT_SIM names no graft built with GRAFT_CUDA=SIM")
    assert Path(path).is_file(), f"GRAFT_SIM={path} is no file"
    return Program(Path(path).resolve(), tmp_path)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """Two classes of two images to train and one to validate."""
    names = {"blue": (60, 80, 190), "red": (190, 70, 60)}
    return make_data(tmp_path_factory.mktemp("data") / "few", train=2, val=1, names=names)


def faults(**given):
    text = ",".join(f"{name}={value}" for name, value in given.items())
    return {**os.environ, "GRAFT_SIM_FAULTS": text}


def train(sim, few, *more, device="cuda", out="run", epochs=1, code=0, **options):
    return sim("train", *TINY, "--data", few, "--freeze", "until:layer4", "--epochs", epochs, "--device",
               device, "--out", out, "--json", *more, code=code, **options)


def test_training_is_that_of_the_processor(sim, few):
    there = train(sim, few, "--precision", "f32").json
    here = train(sim, few, device="cpu", out="here").json
    assert (there["device"], there["precision"]) == ("cusim", "f32") and here["device"] == "cpu"
    for a, b in zip(losses(there), losses(here)):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-3)
    assert there["peak_device_mb"] > 0
    args = ["--weights", "run/model.h5", "--data", few, "--json"]
    on_device = sim("eval", *args, "--device", "cuda", "--precision", "f32").json
    assert on_device["top1"] == sim("eval", *args, "--device", "cpu").json["top1"]


def test_half_precision_is_near(sim, few):
    exact = train(sim, few, device="cpu", out="exact").json["epochs"][0]["train_loss"]
    run = train(sim, few, "--precision", "f16", out="f16").json
    assert run["epochs"][0]["train_loss"] == pytest.approx(exact, rel=0.03)
    assert run["precision"] == "f16"


@pytest.mark.parametrize("more", [["--augment", "none"], ["--augment", "standard", "--mixup", 1, "--cutmix", 1]])
def test_pictures_kept_on_the_device_change_no_bit(sim, few, more):
    args = ["train", *SMALL, "--batch", 2, "--image-size", 8, "--data", few, "--freeze", "trunk", "--epochs", 2,
            *more, "--cache", "off", "--device", "cuda", "--json"]
    kept, sent = sim(*args).json, sim(*args, "--device-cache-mb", 0, "--out", "sent").json
    assert losses(kept) == losses(sent)


@pytest.mark.parametrize("recipe", [
    ["--optimizer", "adamw", "--schedule", "cosine", "--class-weights", "balanced"],
    ["--head", "cosine", "--mixup", 1, "--cutmix", 1, "--label-smoothing", 0.1, "--precision", "f16"],
])
def test_steps_launched_as_a_whole_change_no_bit(sim, few, recipe):
    whole = train(sim, few, *recipe, epochs=2)
    calls = train(sim, few, *recipe, "--cuda-graph", "off", epochs=2, out="calls")
    assert losses(whole.json) == losses(calls.json)
    assert "as a CUDA graph" in whole.err and "notice" not in whole.err
    assert "--cuda-graph off" in calls.err


def test_phases_launched_as_a_whole_change_no_bit(sim, few):
    train(sim, few, device="cpu", out="start")
    args = ["train", "--weights", "start/model.h5", "--batch", 2, "--image-size", 8, "--augment", "none",
            "--data", few, "--threads", 1, "--recipe", "lp-ft", "--probe-epochs", 1, "--epochs", 1, "--ema", 0.9,
            "--l2-sp", 0.1, "--device", "cuda", "--json"]
    whole, calls = sim(*args, "--out", "whole"), sim(*args, "--cuda-graph", "off", "--out", "calls")
    assert losses(whole.json) == losses(calls.json)
    assert whole.err.count("as a CUDA graph") == 2 and "notice" not in whole.err


def test_what_has_no_effect_on_the_processor_is_said(graft, few):
    args = ["train", *TINY, "--data", few, "--freeze", "trunk", "--epochs", 1, "--device", "cpu"]
    assert "notice" not in graft(*args, "--out", "plain").err
    for option in (["--cuda-graph", "off"], ["--device-cache-mb", 64], ["--kernels", "auto"]):
        told = [line for line in graft(*args, *option, "--out", "told").err.splitlines() if "notice" in line]
        assert len(told) == 1 and option[0] in told[0] and "CUDA device" in told[0]


def test_a_stopped_run_goes_on_with_the_same_bits(sim, few):
    whole = train(sim, few, "--precision", "bf16", epochs=2, out="whole").json
    train(sim, few, "--precision", "bf16", epochs=2, code=69, env=faults(fail_at=FIRST_EPOCH, sticky=1))
    resumed = sim("train", "--resume", "--out", "run", "--device", "cuda", "--json").json
    assert losses(resumed) == losses(whole)


def test_predict(sim, few):
    train(sim, few, "--precision", "f32")
    image = next((few / "val" / "red").iterdir())
    args = ["predict", "--weights", "run/model.h5", image, "--json"]
    there = sim(*args, "--device", "cuda", "--precision", "f32").json[0]["classes"]
    here = sim(*args, "--device", "cpu").json[0]["classes"]
    for a, b in zip(there, here):
        assert a["name"] == b["name"] and a["probability"] == pytest.approx(b["probability"], abs=1e-4)


def test_no_device_and_an_old_one(sim, few):
    message = train(sim, few, code=69, env=faults(devices=0)).message
    assert "no CUDA device" in message and "--device cpu" in message
    assert "7.0" in train(sim, few, code=69, env=faults(major=7)).message
    auto = train(sim, few, device="auto", env=faults(devices=0))
    assert auto.json["device"] == "cpu" and auto.err.count("notice:") == 1


def test_out_of_memory_is_said(sim, few):
    message = train(sim, few, code=71, env=faults(budget=3_700_000)).message
    assert "out of device memory" in message or "does not fit" in message
    assert "--batch" in message or "freeze more" in message


def test_a_batch_that_is_too_large_says_which_is_not(sim, few):
    larger = [{"--batch": 4, "--image-size": 32}.get(TINY[i - 1], TINY[i]) for i in range(len(TINY))]
    args = ["train", *larger, "--data", few, "--freeze", "none", "--cache", "off", "--epochs", 1, "--device",
            "cuda", "--precision", "f32", "--out", "large"]
    message = sim(*args, code=71, env=faults(budget=6_500_000)).message
    assert "a batch of 4 images does not fit" in message and "one of 2 does: --batch 2" in message


def test_a_device_that_fails_leaves_the_checkpoint_whole(sim, few):
    message = train(sim, few, code=69, env=faults(fail_at=300, sticky=1)).message
    assert "CUDA device failed" in message


def test_one_failure_ends_in_one_line(sim, few):
    for call in (1, 40, 300):
        result = train(sim, few, out=f"run{call}", code=None, env=faults(fail_at=call))
        assert result.code in (69, 71), result.err
        assert len([line for line in result.err.splitlines() if line.startswith("graft: ")]) == 1


def test_precision_needs_a_device(sim, few):
    assert "CUDA" in train(sim, few, "--precision", "bf16", device="cpu", code=69).message
    train(sim, few, "--precision", "f8", code=64)


def test_kernels_of_nvidia_are_refused_where_they_are_not(sim, few):
    for whose in ("vendor", "auto"):
        message = train(sim, few, "--kernels", whose, code=69).message
        assert "cuBLASLt" in message


def test_what_was_measured_is_shown(graft):
    environment = {**os.environ, "GRAFT_CACHE": str(graft.folder)}
    assert "nothing" in graft("kernels", env=environment).out
    known = {"graft": "1", "device": "A GPU", "libraries": "cuDNN 1",
             "kernels": {"gemm m1": {"own_us": 3.0, "vendor_us": 2.0}}}
    (graft.folder / "kernels.json").write_text(json.dumps(known))
    shown = graft("kernels", env=environment).out
    assert "A GPU" in shown and "vendor  gemm m1" in shown
    assert graft("kernels", "--json", env=environment).json == known
    no_time = {**known, "kernels": {"gemm m1": {"own_us": "fast"}}}
    for damaged in ("{damaged", "[]", '{"kernels": {}}', json.dumps(no_time)):
        (graft.folder / "kernels.json").write_text(damaged)
        assert "nothing" in graft("kernels", env=environment).out
        assert graft("kernels", "--json", env=environment).json == {}


def test_rounding_the_trunk_is_measured(graft, shapes, trained):
    """On the processor: the accuracy in f32 stands beside that of the rounded trunk."""
    args = ["train", "--weights", trained[0] / "model.h5", "--threads", 1, "--data", shapes, "--epochs", 1,
            "--augment", "none", "--json"]
    exact = graft(*args, "--out", "exact").json
    rounded = graft(*args, "--out", "rounded", "--trunk-precision", "bf16").json
    assert "val_accuracy_trunk_f32" not in exact
    assert rounded["val_accuracy_trunk_f32"] == pytest.approx(rounded["val_accuracy"], abs=0.12)
    a, b = (losses(run)[0]["train_loss"] for run in (exact, rounded))
    assert a == pytest.approx(b, rel=0.05)
    graft(*args, "--out", "none", "--trunk-precision", "f8", code=64)
    all_learns = graft(*args, "--freeze", "none", "--out", "all", "--trunk-precision", "bf16")
    assert "bf16 has no effect" in all_learns.err and "val_accuracy_trunk_f32" not in all_learns.json
    graft("verify", "rounded/model.h5")
