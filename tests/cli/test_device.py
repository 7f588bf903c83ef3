"""The program on a CUDA device that is simulated (GRAFT_SIM, a graft built with GRAFT_CUDA=SIM): the same
answers as on the processor, and every fault of a device as one line and an exit code."""

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from conftest import SMALL, Program, losses, make_data, make_images, write_unteachable

AFTER_LOADING = 600  # calls of the runtime, after which the first epoch is on its way,
FIRST_EPOCH = 1450   # and the second one
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


def only_notice(result):
    notices = [line for line in result.err.splitlines() if line.startswith("notice: ")]
    assert len(notices) == 1, result.err
    return notices[0]


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.h5")}


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
    assert auto.json["device"] == "cpu" and "no CUDA device" in only_notice(auto)


def test_a_build_for_other_devices(sim, few):
    """Said before anything is computed, not by the first kernel."""
    other = {**faults(major=8), "GRAFT_SIM_DRIVER": "no kernel image"}
    reason = ("this graft was compiled for other devices than cusim, whose compute capability is 8.0; build it "
              "with -DCMAKE_CUDA_ARCHITECTURES=80")
    assert train(sim, few, code=69, env=other).message == f"graft: --device cuda: {reason}; --device cpu does without"
    auto = train(sim, few, device="auto", env=other)
    assert auto.json["device"] == "cpu" and only_notice(auto) == f"notice: {reason}; computing on the processor"


@pytest.mark.parametrize("says, reason", [
    ("11.4", "the NVIDIA driver is too old, update it: it is of CUDA 11.4, and 12 is needed"),
    ("unknown error", "the NVIDIA driver does not work, see what nvidia-smi says: unknown error"),
])
def test_a_driver_that_gives_no_device_says_why(sim, few, says, reason):
    environment = {**os.environ, "GRAFT_SIM_DRIVER": says}
    message = train(sim, few, code=69, env=environment).message
    assert message == f"graft: --device cuda: {reason}; --device cpu does without"
    auto = train(sim, few, device="auto", env=environment)
    assert auto.json["device"] == "cpu"
    assert only_notice(auto) == f"notice: {reason}; computing on the processor"


LARGE = [*SMALL, "--batch", 4, "--image-size", 32, "--augment", "none", "--device", "cuda", "--precision", "f32"]


def large(sim, few, batch, *more, code=0, budget):
    args = [batch if LARGE[i - 1] == "--batch" else LARGE[i] for i in range(len(LARGE))]
    return sim("train", *args, "--data", few, "--out", "large", *more, code=code, env=faults(budget=budget))


@pytest.mark.parametrize("budget, what, what_to_do", [
    (1_000_000, "the weights do not fit into the memory of the CUDA device", "--device cpu does without"),
    (3_000_000, "the gradients and moments of 230402 parameters do not fit", "freeze more (--freeze trunk)"),
])
def test_what_a_network_keeps_on_the_device_and_does_not_fit(sim, few, budget, what, what_to_do):
    message = train(sim, few, code=71, env=faults(budget=budget)).message
    assert what in message and message.count("out of device memory") == 1 and what_to_do in message


@pytest.mark.parametrize("budget, how", [
    (6_500_000, ["--freeze", "none", "--cache", "off", "--epochs", 1]),
    (5_600_000, ["--freeze", "until:layer2", "--cache", "memory", "--epochs", 2]),
])
def test_a_batch_that_is_too_large_says_which_is_not(sim, few, budget, how):
    message = large(sim, few, 4, *how, code=71, budget=budget).message
    assert message == ("graft: training: a batch of 4 images does not fit into the memory of the CUDA device; "
                       "one of 2 does: --batch 2")
    large(sim, few, 2, *how, budget=budget)


def test_no_batch_fits(sim, few):
    message = large(sim, few, 4, "--freeze", "none", "--cache", "off", code=71, budget=5_000_000).message
    assert message == ("graft: training: a batch of 4 images does not fit into the memory of the CUDA device; "
                       "freeze more (--freeze trunk), take a smaller --image-size, or keep no images there "
                       "(--device-cache-mb 0)")


def test_an_evaluation_that_is_too_large_says_what_is_not(sim, few):
    large(sim, few, 4, "--freeze", "trunk", "--epochs", 1, budget=1 << 30)
    place = ["--device", "cuda", "--precision", "f32", "--threads", 1]
    args = ["--weights", "large/model.h5", *place]

    def evaluate(batch, budget, code):
        options = ["--data", few / "train", "--batch", batch]
        return sim("eval", *args, *options, code=code, env=faults(budget=budget))

    too_large = "graft: evaluation: a batch of 4 images does not fit into the memory of the CUDA device; "
    assert evaluate(4, 1_570_000, 71).message == too_large + "one of 2 does: --batch 2"
    evaluate(2, 1_570_000, 0)
    assert evaluate(4, 1_270_000, 71).message.startswith(too_large + "use --device cpu")
    image = next((few / "val" / "red").iterdir())
    message = sim("predict", *args, image, code=71, env=faults(budget=1_270_000)).message
    assert message.endswith(": one image does not fit into the memory of the CUDA device; --device cpu does "
                            "without")


def test_features_that_are_too_large_say_which_are_not(sim, few):
    how = ["--freeze", "trunk", "--head-solver", "ridge", "--neighbours", 1]
    too_large = "graft: features: a batch of 4 images does not fit into the memory of the CUDA device; "
    message = large(sim, few, 4, *how, code=71, budget=1_600_000).message
    assert message == too_large + "one of 2 does: --batch 2"
    large(sim, few, 2, *how, budget=1_600_000)
    message = large(sim, few, 4, *how, code=71, budget=1_300_000).message
    assert message == too_large + "take a smaller --image-size, or keep no images there (--device-cache-mb 0)"


def test_pictures_that_leave_no_memory(sim, tmp_path):
    """Decoded they fill the device: the next one has no place beside those that are kept."""
    colours = {"blue": (60, 80, 190), "red": (190, 70, 60)}
    for part in ("train", "val"):
        make_images(tmp_path / "photos" / part, 2, colours)
        for path in (tmp_path / "photos" / part).rglob("*.png"):
            Image.open(path).resize((1200, 1000)).save(path)
    args = [*SMALL, "--batch", 4, "--image-size", 8, "--data", tmp_path / "photos", "--freeze", "trunk",
            "--cache", "off", "--epochs", 1, "--device", "cuda", "--precision", "f32"]
    full = ("graft: loader: a batch of 4 images does not fit into the memory of the CUDA device beside 6 MB of "
            "decoded ones that are kept there; keep fewer: --device-cache-mb 3")
    assert sim("train", *args, code=71, env=faults(budget=12_000_000)).message == full
    sim("train", *args, "--device-cache-mb", 3, env=faults(budget=12_000_000))


def test_a_batch_that_no_convolution_takes(sim, shapes):
    """A usage error before anything is computed: an image's first map has 2^28 values."""
    args = [*SMALL, "--image-size", 4096, "--data", shapes, "--freeze", "none", "--device", "cuda"]
    message = sim("train", *args, "--batch", 8, code=64).message
    assert message == ("graft: --batch 8: 8 images of 4096 x 4096 pixels make a map of 2^31 values or more, which no "
                       "convolution on a CUDA device takes; use --batch 7")
    message = sim("train", *args, "--batch", 35, code=64).message  # the 36th image joins the others
    assert message.startswith("graft: --batch 35: 36 images of") and message.endswith("use --batch 6")


def test_a_device_that_fails_in_a_later_epoch_leaves_the_checkpoint_whole(sim, few):
    """The one run fails, goes on and fails again: nothing that it had written changes, and from there it
    goes on with the same bits."""
    precise = ["--precision", "bf16"]
    whole = train(sim, few, *precise, epochs=2, out="whole").json
    broken = faults(fail_at=FIRST_EPOCH, sticky=1)
    message = train(sim, few, *precise, epochs=2, code=69, env=broken).message
    assert "the CUDA device failed: " in message and "injected failure" in message
    assert message.endswith("; the last checkpoint is whole, go on from it with: graft train --resume --out run")
    run = sim.folder / "run"
    good = hashes(run)
    assert {"model.h5", "checkpoint.h5"} <= good.keys()
    assert len((run / "events.jsonl").read_text().splitlines()) == 1
    sim("verify", "run/model.h5")
    resume = ["train", "--resume", "--out", "run", "--device", "cuda"]
    again = sim(*resume, code=69, env=faults(fail_at=AFTER_LOADING, sticky=1)).message
    assert "the last checkpoint is whole" in again
    assert hashes(run) == good
    assert losses(sim(*resume, "--json").json) == losses(whole)
    sim("verify", "run/model.h5")


@pytest.mark.parametrize("given, code, said", [
    ({"fail_at": 1}, 71, r"the weights do not fit into the memory of the CUDA device: out of device memory: "
                         r"\d+ bytes asked for; --device cpu does without"),
    ({"fail_at": 40}, 69, r"the CUDA device failed: \w+: injected failure"),
    ({"fail_at": AFTER_LOADING, "sticky": 1}, 69, r"the CUDA device failed: \w+: injected failure( \(sticky\))?; "
                                                  r"nothing was saved yet"),
], ids=["allocation", "loading", "training"])
def test_one_failure_ends_in_one_line(sim, few, given, code, said):
    result = train(sim, few, code=code, env=faults(**given))
    lines = [line for line in result.err.splitlines() if line.startswith("graft: ")]
    assert len(lines) == 1 and re.fullmatch("graft: " + said, lines[0]), result.err
    assert hashes(sim.folder / "run") == {}


def test_a_loss_that_explodes_leaves_the_good_epochs(sim, few):
    """Two steps an epoch, each of which makes the head a million times larger: the seventh breaks it."""
    args = ["train", *TINY, "--data", few, "--freeze", "trunk", "--cache", "off", "--epochs", 6, "--lr", 1e6,
            "--weight-decay", 1, "--momentum", 0, "--device", "cuda", "--precision", "f32", "--out", "run"]
    message = sim(*args, code=70).message
    assert "at step 7, not finite from fc.weight on" in message
    run = sim.folder / "run"
    good = hashes(run)
    assert {"model.h5", "checkpoint.h5"} <= good.keys()
    assert len((run / "events.jsonl").read_text().splitlines()) == 3
    assert sim("train", "--resume", "--out", "run", "--device", "cuda", code=70).message == message
    assert hashes(run) == good


@pytest.mark.parametrize("graph", ["on", "off"])
def test_a_gradient_that_is_not_finite_leaves_the_good_phase(sim, start_weights, few, graph):
    """As on the processor: the layer that it begins in is named."""
    weights = write_unteachable(sim.folder / "huge.safetensors", start_weights[1])
    args = ["train", "--model", "resnet10_small", "--weights", weights, "--threads", 1, "--data", few,
            "--batch", 2, "--image-size", 8, "--augment", "none", "--recipe", "lp-ft", "--epochs", 2,
            "--device", "cuda", "--precision", "f32", "--cuda-graph", graph, "--out", "run"]
    message = sim(*args, code=70).message
    assert "the gradient is not finite at step 0, that of layer4.0.conv2.weight before all others" in message
    good = hashes(sim.folder / "run")
    assert {"model.h5", "checkpoint.h5"} <= good.keys()
    assert sim("train", "--resume", "--out", "run", "--device", "cuda", code=70).message == message
    assert hashes(sim.folder / "run") == good


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
    setting = {"graft": "1", "own": "0123456789abcdef", "libraries": "cuDNN 1", "driver": "CUDA 13.0"}
    sections = [{"device": device, **setting, "kernels": {"gemm m1": {"own_us": own, "vendor_us": 2.0}}}
                for device, own in (("A GPU", 3.0), ("Another", 1.0))]
    known = {"format": 2, "measured": sections}
    (graft.folder / "kernels.json").write_text(json.dumps(known))
    shown = graft("kernels", env=environment).out
    assert "A GPU" in shown and "vendor  gemm m1" in shown and "own  gemm m1" in shown
    assert graft("kernels", "--json", env=environment).json == known
    older = {"device": "A GPU", **setting, "kernels": {}}
    for text, why in (("{damaged", "is damaged"), ("[]", "is damaged"),
                      (json.dumps(older), "was written by another version of graft")):
        (graft.folder / "kernels.json").write_text(text)
        told = graft("kernels", env=environment)
        assert "nothing" in told.out
        assert told.err == ("warning: what --kernels auto measured before is not used: kernels.json "
                            f"{why}\n")
        assert graft("kernels", "--json", env=environment).json == {"format": 2, "measured": []}


# So large a rate that accuracy goes up and down.
HEAD_ALONE = ["--model", "resnet10_small", "--threads", 1, "--epochs", 5, "--lr", 3, "--augment", "none", "--json"]


@pytest.fixture(scope="module")
def rounded(binary, shapes, start_weights, tmp_path_factory):
    """A run whose best epoch is not its last, its trunk rounded: folder, report, standard error."""
    folder = tmp_path_factory.mktemp("rounded")
    args = ["train", *HEAD_ALONE, "--weights", start_weights[0], "--data", shapes, "--trunk-precision", "bf16"]
    run = Program(binary, folder)(*args, "--out", "run")
    if "has no products of bf16" in run.err:
        pytest.skip("this processor has no products of bf16")
    return folder / "run" / "model.h5", run.json, run.err


def test_rounding_the_trunk_is_measured(graft, shapes, rounded):
    """On the processor: of the network that is saved, the best, both accuracies are said."""
    model, report, err = rounded
    epochs = [e["val_accuracy"] for e in report["epochs"]]
    best = epochs.index(max(epochs))
    assert best < len(epochs) - 1 and report["val_accuracy"] == epochs[best]
    both = (report["val_accuracy"], report["val_accuracy_trunk_f32"])
    said = "validation accuracy of the best epoch, which is saved: {:.4f} with the trunk in bf16, {:.4f} in f32"
    assert said.format(*both) in err
    graft("verify", model)
    args = ["eval", "--weights", model, "--data", shapes / "val", "--threads", 1, "--json"]
    bf16, f32 = (graft(*args, "--trunk-precision", p).json for p in ("bf16", "f32"))
    assert (bf16["top1"], f32["top1"]) == both
    assert bf16["loss"] == report["epochs"][best]["val_loss"]  # to the bit
    assert bf16["loss"] != f32["loss"] and bf16["loss"] == pytest.approx(f32["loss"], rel=0.1)


def test_without_rounding_nothing_is_measured_twice(graft, shapes, start_weights):
    args = ["train", *HEAD_ALONE, "--weights", start_weights[0], "--data", shapes, "--out", "run"]
    run = graft(*args)
    assert "val_accuracy_trunk_f32" not in run.json and "in f32" not in run.err
    graft(*args, "--trunk-precision", "f8", code=64)


def test_predictions_with_a_rounded_trunk(graft, shapes, rounded):
    images = sorted((shapes / "val" / "red").iterdir())[:2]
    args = ["predict", "--weights", rounded[0], *images, "--threads", 1, "--json"]
    f32, bf16 = (graft(*args, "--trunk-precision", p).json for p in ("f32", "bf16"))
    p, q = ([c["probability"] for image in report for c in image["classes"]] for report in (f32, bf16))
    assert p != q and p == pytest.approx(q, abs=0.05)


@pytest.mark.parametrize("plan", ["none", "conv1"])  # of the first layer there are too few products
def test_where_nothing_rounds_it_is_said(graft, shapes, trained, plan):
    bf16 = ["--trunk-precision", "bf16"]
    args = ["train", "--weights", trained[0] / "model.h5", "--data", shapes, "--freeze", plan, "--epochs", 1, "--json"]
    run = graft(*args, *bf16, "--out", "run")
    said = f"notice: --trunk-precision bf16 has no effect: the freeze plan {plan} keeps no convolution"
    assert said in run.err and "val_accuracy_trunk_f32" not in run.json
    assert said in graft("eval", "--weights", "run/model.h5", "--data", shapes / "val", *bf16).err
    image = next((shapes / "val" / "red").iterdir())
    assert said in graft("predict", "--weights", "run/model.h5", image, *bf16).err


def test_where_the_processor_has_no_such_products_it_is_said(graft, shapes, rounded):
    args = ["eval", "--weights", rounded[0], "--data", shapes / "val", "--threads", 1]
    run = lambda isa, p: graft(*args, "--trunk-precision", p, "--json", env={**os.environ, "DNNL_MAX_CPU_ISA": isa})
    none = run("AVX2", "bf16")
    assert "bf16 has no effect: this processor has no products of bf16" in none.err
    assert none.json["loss"] == run("AVX2", "f32").json["loss"]
    emulated = run("AVX512_CORE", "bf16")
    assert "emulated, and slower" in emulated.err
    assert emulated.json["loss"] != run("AVX512_CORE", "f32").json["loss"]
