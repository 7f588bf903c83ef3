"""graft train --head FORM and --head-solver ridge: other heads than one trained matrix, through every command."""

import json

import numpy as np
import pytest
from conftest import losses, read_hdf5, read_safetensors

RIDGE = ["--freeze", "trunk", "--head-solver", "ridge", "--threads", 1]
LOOP = ["--freeze", "trunk", "--epochs", 4, "--batch", 6, "--augment", "none", "--threads", 1]
FORMS = {
    "mlp:16": {"fc.0.weight": (16, 128), "fc.0.bias": (16,), "fc.2.weight": (3, 16), "fc.2.bias": (3,)},
    "cosine": {"fc.weight": (3, 128), "fc.log_scale": (1,)},
}
RATES = {"mlp:16": 0.05, "cosine": 0.05}


def tensors(path):
    return {k[len("tensors/") :]: v for k, v in read_hdf5(path).items() if k.startswith("tensors/")}


def train(graft, model, shapes, form, *more, out="run", code=0):
    args = ["--head", form, *LOOP, "--lr", RATES.get(form, 0.05), "--data", shapes, "--out", out]
    return graft("train", "--weights", model, *args, *more, code=code)


# ---- ridge --------------------------------------------------------------------------------------


def test_ridge_solves_for_the_head(graft, model, shapes):
    report = graft("train", "--weights", model, *RIDGE, "--data", shapes, "--out", "run", "--json").json
    assert report["val_accuracy"] >= 0.9 and report["trained_parameters"] == 3 * 129
    assert len(report["epochs"]) == 1
    solution = report["solution"]
    assert 1e-4 <= solution["l2"] <= 1000 and solution["leave_one_out_accuracy"] >= 0.9
    again = graft("eval", "--weights", "run/model.h5", "--data", shapes / "val", "--json").json
    assert again["top1"] == report["val_accuracy"]
    assert graft("inspect", "run/model.h5", "--json").json["proven"]


def test_ridge_the_same_bits_again_and_finished_when_resumed(graft, model, shapes):
    for out in ("a", "b"):
        graft("train", "--weights", model, *RIDGE, "--data", shapes, "--out", out)
    a, b = (tensors(graft.folder / out / "model.h5") for out in ("a", "b"))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    before = graft("train", "--resume", "--out", "a", "--json").json
    assert before["solution"]["leave_one_out_accuracy"] >= 0.9


def test_ridge_takes_a_given_penalty(graft, model, shapes):
    norms = []
    for decay in (1e-3, 1):
        solve = [*RIDGE, "--weight-decay", decay, "--out", str(decay), "--json"]
        report = graft("train", "--weights", model, *solve, "--data", shapes).json
        assert report["solution"]["l2"] == decay
        weight = tensors(graft.folder / str(decay) / "model.h5")["fc.weight"]
        norms.append(np.linalg.norm(weight) / report["solution"]["factor"])
    assert norms[1] < norms[0]


@pytest.mark.parametrize(
    "args, words",
    [
        (["--epochs", 3], ["--epochs", "ridge"]),
        (["--lr", 0.1], ["--lr"]),
        (["--augment", "standard"], ["--augment"]),
        (["--weight-decay", 0], ["--weight-decay"]),
        (["--label-smoothing", 0.1], ["--label-smoothing", "ridge"]),
        (["--class-weights", "balanced"], ["--class-weights", "ridge"]),
        (["--head", "mlp:8"], ["--head", "ridge"]),
        (["--head", "cosine"], ["--head", "ridge"]),
    ],
)
def test_what_ridge_contradicts(graft, model, shapes, args, words):
    result = graft("train", "--weights", model, *RIDGE, *args, "--data", shapes, "--out", "run", code=64)
    assert all(word in result.message for word in words)
    assert not (graft.folder / "run").exists()


# ---- forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_form_goes_through_every_command(graft, model, shapes, form):
    result = train(graft, model, shapes, form, "--json")
    report = result.json
    assert f"new head fc, {form}" in result.err
    assert report["val_accuracy"] >= 0.9
    assert report["trained_parameters"] == sum(np.prod(s) for s in FORMS[form].values())
    saved = tensors(graft.folder / "run/model.h5")
    assert {n: v.shape for n, v in saved.items() if n.startswith("fc.")} == FORMS[form]
    shown = graft("inspect", "run/model.h5", "--json").json
    assert shown["architecture"] == f"resnet10_small+{form}" and shown["proven"]
    assert f"resnet10_small+{form}" in graft("inspect", "run/model.h5").out
    evaluated = graft("eval", "--weights", "run/model.h5", "--data", shapes / "val", "--json").json
    assert evaluated["top1"] == report["val_accuracy"]
    image = next((shapes / "val" / "red").iterdir())
    assert "red" in graft("predict", "--weights", "run/model.h5", image).out
    graft("verify", "run/model.h5")


@pytest.mark.parametrize("form", FORMS)
def test_a_form_goes_through_other_files(graft, model, shapes, form):
    train(graft, model, shapes, form)
    graft("convert", "run/model.h5", "plain.safetensors")
    assert {n for n in read_safetensors(graft.folder / "plain.safetensors") if n.startswith("fc.")} == set(FORMS[form])
    graft("convert", "plain.safetensors", "back.h5")
    a, b = tensors(graft.folder / "run/model.h5"), tensors(graft.folder / "back.h5")
    assert a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)
    assert graft("inspect", "back.h5", "--json").json["architecture"] == f"resnet10_small+{form}"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("network", ["resnet10_small", "squeezenet1_1"])
def test_onnxruntime_says_the_same(graft, shapes, form, network):
    runtime = pytest.importorskip("onnxruntime")
    args = ["--model", f"{network}+{form}", "--weights", "none", "--data", shapes, "--epochs", 1, "--image-size", 64]
    graft("train", *args, "--freeze", "none,bn=frozen", "--batch", 6, "--lr", 1e-4, "--threads", 1, "--out", "run")
    graft("convert", "run/model.h5", "model.onnx", "--side", 64)
    golden = read_hdf5(graft.folder / "run/model.h5")
    images = golden["golden/input"].transpose(0, 3, 1, 2)
    session = runtime.InferenceSession(str(graft.folder / "model.onnx"))
    if images.shape[2] != 64:
        pytest.skip("the golden input has another side")
    for count in (1, 3):
        logits = session.run(None, {"input": np.repeat(images, count, 0)})[0]
        want = np.repeat(golden["golden/logits"], count, 0)
        assert np.abs(logits - want).max() <= 1e-4 * np.abs(want).max() + 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_a_stopped_run_goes_on_with_its_form(graft, model, shapes, form):
    whole = train(graft, model, shapes, form, "--json", out="whole").json
    half = ["--head", form, *LOOP, "--lr", RATES[form], "--data", shapes]
    half[half.index("--epochs") + 1] = 2
    graft("train", "--weights", model, *half, "--out", "run")
    # A run of two epochs is done; one of four that was cut off after two begins like it.
    assert losses(whole)[:2] == [
        {k: v for k, v in json.loads(line).items() if k != "seconds"}
        for line in (graft.folder / "run/events.jsonl").read_text().splitlines()
    ]
    again = graft("train", "--resume", "--out", "whole", "--json").json
    assert losses(again) == losses(whole)
    message = graft("train", "--resume", "--out", "whole", "--head", "linear", code=64).message
    assert "--head" in message and form in message


def test_a_form_stays_until_another_is_asked_for(graft, model, shapes):
    train(graft, model, shapes, "cosine")
    kept = graft("train", "--weights", "run/model.h5", *LOOP, "--lr", 0.01, "--data", shapes, "--out", "kept")
    assert "new head" not in kept.err
    assert graft("inspect", "kept/model.h5", "--json").json["architecture"] == "resnet10_small+cosine"
    back = graft("train", "--weights", "run/model.h5", *RIDGE, "--head", "linear", "--data", shapes, "--out", "back")
    assert "new head fc: 3 -> 3" in back.err
    assert graft("inspect", "back/model.h5", "--json").json["architecture"] == "resnet10_small"
    message = graft("train", "--weights", "run/model.h5", *RIDGE, "--data", shapes, "--out", "no", code=64).message
    assert "--head linear" in message


KNN = ["--freeze", "trunk", "--head", "knn:3", "--threads", 1]


def test_stored_images_vote(graft, model, shapes):
    result = graft("train", "--weights", model, *KNN, "--data", shapes, "--out", "run", "--json")
    report, count = result.json, len(list((shapes / "train").glob("*/*")))
    assert f"head stored: {count} images, 3 nearest vote" in result.err
    assert report["val_accuracy"] >= 0.9 and report["solution"]["leave_one_out_accuracy"] >= 0.9
    assert len(report["epochs"]) == 1
    saved = tensors(graft.folder / "run/model.h5")
    assert saved["fc.images"].shape == (count, 128) and saved["fc.weight"].shape == (3, count)
    shown = graft("inspect", "run/model.h5", "--json").json
    assert shown["architecture"] == f"resnet10_small+knn:3:{count}" and shown["proven"]
    evaluated = graft("eval", "--weights", "run/model.h5", "--data", shapes / "val", "--json").json
    assert evaluated["top1"] == report["val_accuracy"]
    image = next((shapes / "val" / "red").iterdir())
    assert "red" in graft("predict", "--weights", "run/model.h5", image).out
    graft("verify", "run/model.h5")
    assert "--head linear" in graft("convert", "run/model.h5", "model.onnx", code=64).message
    graft("convert", "run/model.h5", "plain.safetensors")
    graft("convert", "plain.safetensors", "back.h5")
    assert graft("inspect", "back.h5", "--json").json["architecture"] == shown["architecture"]
    again = graft("train", "--resume", "--out", "run", "--json").json
    assert losses(again) == losses(report)


def test_stored_images_give_way_to_a_matrix(graft, model, shapes):
    graft("train", "--weights", model, *KNN, "--data", shapes, "--out", "run")
    trained = graft("train", "--weights", "run/model.h5", *LOOP, "--lr", 0.05, "--data", shapes, "--out", "next")
    assert "new head fc: 3 -> 3" in trained.err
    assert graft("inspect", "next/model.h5", "--json").json["architecture"] == "resnet10_small"
    graft("train", "--weights", "run/model.h5", *KNN, "--data", shapes, "--out", "again")
    a, b = (tensors(graft.folder / out / "model.h5") for out in ("run", "again"))
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("args", [["--epochs", 2], ["--head-solver", "ridge"], ["--weight-decay", 0.1],
                                  ["--class-weights", "balanced"], ["--freeze", "none"], ["--recipe", "lp-ft"]])
def test_what_stored_images_contradict(graft, model, shapes, args):
    message = graft("train", "--weights", model, *KNN, *args, "--data", shapes, "--out", "run", code=64).message
    assert args[0] in message
    assert not (graft.folder / "run").exists()


@pytest.mark.parametrize("form", ["mlp", "mlp:0", "mlp:x", "cosin", ""])
def test_a_form_that_is_none(graft, model, shapes, form):
    if not form:
        pytest.skip("an empty option is refused elsewhere")
    assert "mlp:" in train(graft, model, shapes, form, code=64).message
    assert not (graft.folder / "run").exists()


@pytest.mark.parametrize("solver", ["lbfgs", "ridge"])
@pytest.mark.parametrize("form", FORMS)
def test_solvers_solve_for_a_matrix(graft, model, shapes, solver, form):
    args = ["--head", form, "--head-solver", solver, "--freeze", "trunk", "--data", shapes]
    message = graft("train", "--weights", model, *args, "--out", "run", code=64).message
    assert "--head" in message and solver in message


# ---- the freeze report --------------------------------------------------------------------------


def test_the_plan_says_what_it_saves(graft, model, shapes):
    result = train(graft, model, shapes, "linear", "--json")
    table = [line for line in result.err.splitlines() if line.startswith("  ")]
    assert [line for line in table if len(line) > 100] == []
    assert table[0].split() == "layer output parameters norms rate saved work activations gradients".split()
    rows = {line.split()[0]: line.split() for line in table[1:]}
    assert "0.05" in rows["fc"] and "frozen" in rows["layer1"]
    # Of 32x32 pixels: the head's gradient alone is left, 2 x 3 x 128.
    saved = report_of_all(graft, model, shapes)
    assert result.json["saved_per_image"]["backward_gflop"] == pytest.approx(saved, rel=1e-9)


def report_of_all(graft, model, shapes):
    """GFLOP of the backward pass of resnet10_small at 32 pixels, by hand, less what the head takes."""
    layers = [(3, 16, 3, 32), (16, 16, 3, 32), (16, 16, 3, 32)]  # stem and layer1: in, out, side of filter, of map
    for width, side in ((32, 16), (64, 8), (128, 4)):
        layers += [(width // 2, width, 3, side), (width, width, 3, side), (width // 2, width, 1, side)]
    products = [2 * i * o * k * k * m * m for i, o, k, m in layers]
    return (2 * sum(products) - products[0] + 2 * 3 * 128) / 1e9


def test_inspect_says_what_is_not_as_it_was(graft, model, shapes):
    h5py = pytest.importorskip("h5py")
    train(graft, model, shapes, "linear")
    whole = (graft.folder / "run/model.h5").read_bytes()
    changed = graft.folder / "changed.h5"
    changed.write_bytes(whole[:-24])  # without the seal, which would have told already
    with h5py.File(changed, "r+") as file:
        del file.attrs["checksum"]
        file["tensors/conv1.weight"][0, 0, 0, 0] += 1
    count = graft("inspect", "run/model.h5", "--json").json["frozen_tensors"]
    told = graft("inspect", "changed.h5", code=65)
    assert "NOT PROVEN" in told.out and f"1 of {count} frozen tensors" in told.message


def test_inspect_shows_the_proof(graft, model, shapes):
    train(graft, model, shapes, "linear")
    report = graft("inspect", "run/model.h5", "--json").json
    assert report["proven"] and report["frozen_tensors"] == report["frozen_tensors_proven"] > 0
    import hashlib

    h5py = pytest.importorskip("h5py")
    with h5py.File(graft.folder / "run/model.h5") as file:
        lines = ""

        def visit(name, item):
            nonlocal lines
            if isinstance(item, h5py.Dataset) and "frozen_sha256" in item.attrs:
                value = item.attrs["frozen_sha256"]
                lines += f"{name} {value if isinstance(value, str) else value.decode()}\n"

        file["tensors"].visititems(visit)
        stored = file["arch"].attrs["frozen_digest"]
    lines = "".join(sorted(lines.splitlines(keepends=True)))
    digest = hashlib.sha256(lines.encode()).hexdigest()
    assert report["frozen_digest"] == digest
    assert (stored if isinstance(stored, str) else stored.decode()) == digest
    assert f"proven; SHA-256 of all {report['frozen_tensors']}: {digest}" in graft("inspect", "run/model.h5").out
    loose = graft("inspect", model, "--json").json  # nothing was frozen there
    assert not loose["proven"] and loose["frozen_digest"] == ""


# ---- neighbours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "ridge"])
def test_neighbours_vote_for_comparison(graft, model, shapes, solver):
    args = ["--weights", model, *RIDGE, "--data", shapes, "--out", "run"]
    args[args.index("ridge")] = solver
    result = graft("train", *args, "--neighbours", 5, "--json")
    solution = result.json["solution"]
    assert "5 nearest neighbours" in result.err
    assert solution["neighbours_leave_one_out_accuracy"] >= 0.9 and solution["neighbours_val_accuracy"] >= 0.9
    a = tensors(graft.folder / "run/model.h5")
    graft("train", *args[:-1], "without")
    b = tensors(graft.folder / "without/model.h5")
    assert all(np.array_equal(a[n], b[n]) for n in a), "the head is the same"


def test_neighbours_need_features(graft, model, shapes):
    message = train(graft, model, shapes, "linear", "--neighbours", 5, code=64).message
    assert "--neighbours" in message and "--head-solver sgd" in message
