"""What is frozen stays bit for bit, running statistics and all; what is not does learn."""

import fnmatch

import numpy as np
import pytest
from conftest import read_safetensors

NORM = (".running_mean", ".running_var", ".num_batches_tracked")


def train(graft, weights, data, plan, *more, code=0):
    return graft(
        "train",
        "--weights",
        weights,
        "--model",
        "resnet10_small",
        "--data",
        data,
        "--freeze",
        plan,
        "--epochs",
        2,
        "--batch",
        8,
        "--lr",
        0.01,
        "--weight-decay",
        0.01,
        "--out",
        "run",
        "--threads",
        1,
        *more,
        code=code,
    )


def changed(graft, before):
    graft("convert", "run/checkpoint.h5", "after.safetensors")
    after = read_safetensors(graft.folder / "after.safetensors")
    assert after.keys() == before.keys()
    return {
        n
        for n in before
        if before[n].shape != after[n].shape or before[n].tobytes() != after[n].tobytes()
    }


def all_of(before, *patterns):
    return {n for n in before if any(fnmatch.fnmatch(n, p) for p in patterns)}


PLANS = {  # plan -> what learns, as patterns
    "trunk": ["fc.*"],
    "none": ["*"],
    "until:layer3": ["layer3.*", "layer4.*", "fc.*"],
    "until:layer4.0.bn2": ["layer4.0.bn2.*", "layer4.0.downsample.*", "fc.*"],
    "conv1,bn1,layer1": ["layer[234].*", "fc.*"],
    "trunk,!layer4": ["layer4.*", "fc.*"],
    "layer[12],conv1,bn1": ["layer[34].*", "fc.*"],
}


@pytest.mark.parametrize("plan", PLANS)
def test_frozen_is_frozen_and_the_rest_learns(graft, start_weights, shapes, plan):
    weights, before = start_weights
    report = train(graft, weights, shapes, plan, "--json").json
    learns = all_of(before, *PLANS[plan])
    if plan == "trunk,!layer4":  # a frozen norm keeps its policy when its block learns again
        learns = {n for n in learns if ".bn" not in n and "downsample.1" not in n}
    moved = changed(graft, before)
    assert moved - learns == set()
    assert learns - moved <= {n for n in learns if n.endswith(".num_batches_tracked")}
    counted = sum(
        before[n].size for n in learns if not n.endswith(NORM) and not n.startswith("fc.")
    )
    if plan != "trunk,!layer4":  # whose norms could learn but for their policy
        assert report["trained_parameters"] == counted + 128 * 3 + 3
    assert report["frozen_parameters"] + report["trained_parameters"] == 307923


@pytest.mark.parametrize(
    "policy, statistics, affine",
    [
        ("train", True, True),
        ("affine", False, True),
        ("stats", True, False),
        ("frozen", False, False),
    ],
)
def test_policies_of_norms(graft, start_weights, shapes, policy, statistics, affine):
    """Each policy moves what it says and nothing else."""
    weights, before = start_weights
    train(graft, weights, shapes, f"none,bn={policy}")
    moved = changed(graft, before)
    norms = {n[: -len(".running_mean")] for n in before if n.endswith(".running_mean")}
    for norm in norms:
        assert (
            (f"{norm}.running_mean" in moved) == (f"{norm}.running_var" in moved) == statistics
        ), norm
        assert (f"{norm}.weight" in moved) == (f"{norm}.bias" in moved) == affine, norm
    assert "conv1.weight" in moved


def test_policies_of_some_norms(graft, start_weights, shapes):
    weights, before = start_weights
    result = train(graft, weights, shapes, "until:layer4,bn=affine@layer4")
    moved = changed(graft, before)
    assert all(n.startswith(("layer4.", "fc.")) and not n.endswith(NORM) for n in moved)
    assert "layer4.0.bn1.weight" in moved and "layer4.0.conv1.weight" in moved
    inspected = graft("inspect", "run/model.h5", "--json").json
    assert inspected["freeze"] == "until:layer4,bn=affine@layer4" and inspected["proven"]
    assert "feature cache: the output of layer3" in result.err


def test_globs_of_parameters(graft, start_weights, shapes):
    weights, before = start_weights
    train(graft, weights, shapes, "*.bias,bn=train")
    moved = changed(graft, before)
    assert "layer1.0.conv1.weight" in moved and "layer1.0.bn1.weight" in moved


def test_a_percentage(graft, start_weights, shapes):
    weights, before = start_weights
    train(graft, weights, shapes, "60%")
    moved = changed(graft, before)
    assert "conv1.weight" not in moved and "layer1.0.conv1.weight" not in moved
    assert "layer4.0.conv2.weight" in moved


@pytest.mark.parametrize(
    "plan, words",
    [
        ("layer9", ["layer9", "layer1"]),
        ("until:layr3", ["layr3", "layer3"]),
        ("*.wieght", ["*.wieght"]),
        ("trunk,!layr4", ["!layr4", "layer4"]),
        ("trunc", ["trunc"]),
        ("bn=frosen", ["frosen", "frozen"]),
        ("bn=frozen@layr4", ["layr4", "layer4"]),
        ("bn=frozen@fc", ["bn=frozen@fc", "no norm"]),
        ("101%", ["101%", "100%"]),
        ("-1%", ["-1%"]),
        ("x%", ["x%"]),
        ("until:", ["until:"]),
    ],
)
def test_a_mistyped_plan(graft, start_weights, shapes, plan, words):
    message = train(graft, start_weights[0], shapes, plan, code=64).message
    for word in words:
        assert word in message
    assert not (graft.folder / "run").exists()


def test_everything_frozen(graft, start_weights, shapes):
    """Nothing to learn is a mistake."""
    assert "--freeze" in train(graft, start_weights[0], shapes, "100%", code=64).message
    assert not (graft.folder / "run").exists()


@pytest.mark.parametrize(
    "plan, more",
    [
        ("fc", []),
        ("*.weight", []),  # the biases of the head learn, but not its matrix
        ("trunk,!layer4,fc", []),
        ("none,fc.weight,bn=frozen", []),
        ("fc", ["--recipe", "gradual"]),
        ("fc", ["--find-lr"]),
        ("fc", ["--head", "mlp:8"]),
        ("fc", ["--head", "cosine"]),
    ],
)
def test_a_new_head_that_does_not_learn(graft, start_weights, shapes, plan, more):
    """At zero it passes no gradient down: the plan would say 'trained' of layers that stay as they are."""
    if "--find-lr" in more:
        args = ["--weights", start_weights[0], "--model", "resnet10_small", "--data", shapes, "--threads", 1]
        message = graft("train", *args, "--freeze", plan, *more, code=64).message
    else:
        message = train(graft, start_weights[0], shapes, plan, *more, code=64).message
    assert "--freeze" in message and "new head fc" in message and "!fc" in message
    assert list(graft.folder.iterdir()) == []


def test_a_new_head_that_learns_after_all(graft, start_weights, shapes):
    weights, before = start_weights
    train(graft, weights, shapes, "trunk,!layer4,fc,!fc")
    assert "layer4.0.conv1.weight" in changed(graft, before)


@pytest.mark.parametrize("more", [[], ["--probe-epochs", 1]])
def test_a_head_that_a_probe_finds_may_stay(graft, start_weights, shapes, more):
    """What the plan keeps and the probe trains is not proven to be as it was before."""
    weights, before = start_weights
    args = ["train", "--weights", weights, "--model", "resnet10_small", "--data", shapes, "--threads", 1]
    graft(*args, "--freeze", "fc,bn1", "--recipe", "lp-ft", "--epochs", 1, "--lr", 1e-4, "--out", "run", *more)
    moved = changed(graft, before)
    assert "layer4.0.conv1.weight" in moved and "fc.weight" in moved
    shown = graft("inspect", "run/model.h5", "--json").json
    assert shown["proven"] and shown["frozen_tensors_proven"] == len([n for n in before if n.endswith(NORM)]) + 2 * 12


def test_a_head_that_knows_the_classes_may_stay(graft, model, shapes):
    """As may one of a run that goes on, and one that began at random with all the rest."""
    args = ["train", "--data", shapes, "--freeze", "fc", "--epochs", 1, "--batch", 8, "--threads", 1]
    graft(*args, "--weights", model, "--out", "known")
    graft("train", "--resume", "--out", "known")
    graft(*args, "--model", "resnet10_small", "--weights", "none", "--out", "scratch")


def test_inspect_shows_what_was_frozen_and_proves_it(graft, start_weights, shapes):
    weights, before = start_weights
    train(graft, weights, shapes, "until:layer4")
    report = graft("inspect", "run/model.h5", "--json").json
    assert report["freeze"] == "until:layer4"
    frozen = {n for n in before if not n.startswith(("layer4.", "fc."))}
    assert report["frozen_tensors_proven"] == len(frozen)
    layers = {row["layer"]: row for row in report["layers"]}
    assert layers["layer3.0.conv1"]["trained"] == 0
    assert layers["layer4.0.conv1"]["trained"] == layers["layer4.0.conv1"]["parameters"]
    text = graft("inspect", "run/model.h5").out
    assert f"{len(frozen)} of {len(frozen)} frozen tensors proven unchanged" in text
    assert "frozen" in text and "trained" in text


def test_the_plan_is_shown_before_training(graft, start_weights, shapes):
    err = train(graft, start_weights[0], shapes, "until:layer4").err
    rows = {line.split()[0]: line for line in err.splitlines() if line.startswith("  ")}
    assert "frozen" in rows["layer3"] and "trained" in rows["layer4"] and "trained" in rows["fc"]


def plan_rows(report):
    return {row["layer"]: row for row in report["plan"]}


def test_the_report_has_the_plan_row_by_row(graft, start_weights, shapes):
    weights, before = start_weights
    report = train(graft, weights, shapes, "until:layer4", "--json").json
    rows = plan_rows(report)
    assert list(rows) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    of_file = {
        name: sum(v.size for n, v in before.items() if n.startswith(name) and not n.endswith(NORM))
        for name in rows
    }
    of_file["fc"] = 3 * 128 + 3
    for name, row in rows.items():
        learns = name in ("layer4", "fc")
        assert row["parameters"] == of_file[name]
        assert row["trained_parameters"] == (of_file[name] if learns else 0)
        assert row["state"] == ("trained" if learns else "frozen")
        assert (row["slowest_rate"], row["fastest_rate"]) == ((0.01, 0.01) if learns else (0, 0))
        assert row["gradient_bytes_saved"] == (0 if learns else 8 * of_file[name])  # SGD, momentum
        assert (row["backward_flop"] > 0) == (learns and name != "bn1")
    assert rows["layer3"]["output"] == [8, 8, 64] and rows["layer4"]["layers"] == 6
    assert rows["layer3"]["norms"] == {"frozen": [f"layer3.0.{n}" for n in ("bn1", "bn2", "downsample.1")]}
    assert rows["layer4"]["norms"].keys() == {"train"} and rows["fc"]["norms"] == {}
    saved = report["saved_per_image"]
    assert sum(r["backward_flop_saved"] for r in rows.values()) == pytest.approx(1e9 * saved["backward_gflop"])
    assert sum(r["activation_bytes_saved"] for r in rows.values()) == pytest.approx(1e6 * saved["activations_mb"])


def test_the_plan_layer_by_layer(graft, start_weights, shapes):
    result = train(graft, start_weights[0], shapes, "until:layer4.0.bn2", "--table", "layers", "--json")
    rows = plan_rows(result.json)
    assert [name for name in rows if name.startswith("layer4")] == [
        f"layer4.0.{name}" for name in ("conv1", "bn1", "conv2", "bn2", "downsample.0", "downsample.1")
    ]
    assert rows["layer4.0.conv2"]["state"] == "frozen" and rows["layer4.0.bn2"]["state"] == "trained"
    assert rows["layer4.0.conv1"]["output"] == [4, 4, 128] and rows["layer4.0.bn1"]["norms"].keys() == {"frozen"}
    saved = result.json["saved_per_image"]
    assert sum(r["backward_flop_saved"] for r in rows.values()) == pytest.approx(1e9 * saved["backward_gflop"])
    assert sum(r["activation_bytes_saved"] for r in rows.values()) == pytest.approx(1e6 * saved["activations_mb"])
    table = [line for line in result.err.splitlines() if line.startswith("  layer4.0.downsample.")]
    assert len(table) == 2 and "affine" not in table[0] and "train" in table[1]
    with_name = next(line for line in result.err.splitlines() if line.startswith("  layer "))
    assert with_name.index("output") == table[0].index("4x4x128")


def test_gradients_saved_are_those_of_the_optimiser(graft, start_weights, shapes):
    for options, each in ((["--momentum", 0], 4), (["--optimizer", "adamw"], 12)):
        result = train(graft, start_weights[0], shapes, "trunk", *options, "--json")
        assert plan_rows(result.json)["layer4"]["gradient_bytes_saved"] == each * 230144
        assert f"gradients and moments: {each * 387 / 1000:.3g} kB of" in result.err


def test_the_plan_names_the_norms_of_a_mixed_block(graft, start_weights, shapes):
    result = train(graft, start_weights[0], shapes, "until:layer4.0.bn2", "--json")
    lines = result.err.splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("  layer4 "))
    assert "mixed" in lines[row].split()
    assert lines[row + 1 : row + 3] == ["    frozen norms: 0.bn1", "    train norms: 0.bn2 and 0.downsample.1"]
    norms = {"frozen": ["layer4.0.bn1"], "train": ["layer4.0.bn2", "layer4.0.downsample.1"]}
    assert plan_rows(result.json)["layer4"]["norms"] == norms


def test_a_new_head_leaves_the_trunk_alone(graft, start_weights, shapes):
    weights, before = start_weights
    result = train(graft, weights, shapes, "trunk")
    assert "10 -> 3 classes" in result.err
    assert changed(graft, before) == {"fc.weight", "fc.bias"}


def test_norms_of_a_network_without(graft, shapes):
    args = ["--model", "squeezenet1_1", "--weights", "none", "--data", shapes, "--freeze", "norm-only"]
    assert "has no norm layer" in graft("train", *args, code=64).message
    assert list(graft.folder.iterdir()) == []
