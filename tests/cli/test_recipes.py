"""The recipes of graft train: each does what its formula says, is resumed bit for bit, and refuses
what contradicts it."""

import json
import signal

import numpy as np
import pytest
from conftest import SMALL, Program, losses, make_data, read_hdf5, read_safetensors
from test_resume import same_runs

RUN = ["--model", "resnet10_small", "--threads", 1, "--batch", 6, "--seed", 3, "--epochs", 3]
VARIANTS = {
    "rates": ["--lr-decay", 0.7, "--lr-of", "layer4.*=0.003", "--lr-of", "*.bias=0.002", "--lr", 0.01],
    "l2-sp": ["--l2-sp", 0.1, "--weight-decay", 0.01, "--lr", 0.01],
    "ema": ["--ema", 0.9, "--lr", 0.01],
    "mix": ["--mixup", 0.4, "--cutmix", 1, "--lr", 0.01],
    "balanced": ["--sampling", "balanced", "--lr", 0.01, "--augment", "rand"],
    "patience": ["--patience", 1, "--epochs", 8, "--lr", 1e-9, "--freeze", "trunk"],
    "lp-ft": ["--recipe", "lp-ft", "--lr", 0.005],
    "lp-ft-sgd": ["--recipe", "lp-ft", "--probe-epochs", 2, "--ema", 0.9, "--l2-sp", 0.01],
    "gradual": ["--recipe", "gradual", "--epochs", 5, "--lr-decay", 0.8, "--l2-sp", 0.01],
}


@pytest.fixture(scope="module")
def skewed(tmp_path_factory):
    """Three classes, one of them rare."""
    folder = make_data(tmp_path_factory.mktemp("data") / "skewed", train=9, val=4)
    for path in sorted((folder / "train" / "red").iterdir())[3:]:
        path.unlink()
    return folder


def options(variant, start_weights):
    own = VARIANTS[variant]
    run = [*RUN, "--weights", start_weights[0], "--json"]
    if "--epochs" in own:
        at = run.index("--epochs")
        run = [*run[:at], *run[at + 2 :]]
    if "--recipe" not in own and "--freeze" not in own:
        run += ["--freeze", "none"]
    return [*run, *own]


@pytest.fixture(scope="module")
def whole(binary, skewed, start_weights, tmp_path_factory):
    """Uninterrupted runs: name of the variant -> folder and report; each is made once."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            args = [*options(name, start_weights), "--data", skewed, "--out", "run"]
            made[name] = folder / "run", Program(binary, folder)("train", *args).json
        return made[name]

    return run


def train(graft, start_weights, data, *args, out="run", code=0):
    run = [*RUN, "--weights", start_weights[0], "--data", data, "--json", *args]
    for option in ("--epochs", "--seed"):
        if run.count(option) > 1:
            at = run.index(option)
            run = [*run[:at], *run[at + 2 :]]
    return graft("train", *run, "--out", out, code=code)


def tensors(path):
    return {k: v for k, v in read_hdf5(path).items() if k.startswith("tensors/")}


def same_tensors(a, b):
    one, two = tensors(a), tensors(b)
    assert one.keys() == two.keys()
    for name in one:
        assert np.array_equal(one[name], two[name]), name


# ---- exactly on -------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_stopped_and_resumed_is_as_if_never_stopped(graft, skewed, start_weights, whole, variant, epochs):
    folder, report = whole(variant)
    args = [*options(variant, start_weights), "--data", skewed, "--out", "run"]
    process = graft.start("train", *args)
    events = graft.folder / "run" / "events.jsonl"
    graft.stop_when(
        process, lambda: events.exists() and len(events.read_text().splitlines()) >= epochs, signal.SIGINT
    )
    graft.finish(process, args, None)
    resumed = graft("train", "--resume", "--out", "run", "--json", "--threads", 1).json
    assert losses(resumed) == losses(report)
    same_runs(folder, graft.folder / "run")


@pytest.mark.parametrize("variant", ["balanced", "mix"])
@pytest.mark.parametrize("threads", [0, 3])
def test_loader_threads_change_no_bit(graft, skewed, start_weights, whole, variant, threads):
    folder, report = whole(variant)
    args = [*options(variant, start_weights), "--data", skewed, "--out", "run"]
    assert losses(graft("train", *args, "--loader-threads", threads).json) == losses(report)
    same_runs(folder, graft.folder / "run")


def test_each_recipe_does_something(whole):
    seen = [json.dumps(losses(whole(name)[1])) for name in VARIANTS]
    assert len(set(seen)) == len(seen)


# ---- two phases and more ----------------------------------------------------------------------


def test_lp_ft_is_the_two_by_hand(graft, skewed, start_weights, whole):
    folder, report = whole("lp-ft")
    probe = ["--model", "resnet10_small", "--threads", 1, "--batch", 6, "--seed", 3, "--data", skewed, "--json"]
    a = graft("train", *probe, "--weights", start_weights[0], "--head-solver", "lbfgs", "--out", "a").json
    by_hand = [*probe, "--weights", "a/model.h5", "--freeze", "none,bn=frozen", "--lr", 0.005, "--clip-norm", 1,
               "--epochs", 3]
    b = graft("train", *by_hand, "--out", "b").json
    both = [{k: v for k, v in e.items() if k != "phase"} for e in losses(report)]
    assert both == losses(a) + losses(b)
    same_tensors(folder / "checkpoint.h5", graft.folder / "b" / "checkpoint.h5")
    assert [e["phase"] for e in report["epochs"]] == ["probe", "tune", "tune", "tune"]
    assert report["val_accuracy"] == max(e["val_accuracy"] for e in report["epochs"])


def test_a_solved_head_stays_the_model_where_tuning_makes_it_worse(graft, skewed, start_weights):
    args = ["--recipe", "lp-ft", "--freeze", "none", "--epochs", 1, "--lr", 0.3, "--augment", "none"]
    probe, tuned = train(graft, start_weights, skewed, *args).json["epochs"]
    assert tuned["val_accuracy"] < probe["val_accuracy"]
    kept = graft("eval", "--weights", "run/model.h5", "--data", skewed / "val", "--json").json
    assert kept["top1"] == probe["val_accuracy"]


def test_gradients_are_clipped_after_a_probe_unless_told_otherwise(graft, skewed, start_weights):
    args = [*options("lp-ft", start_weights), "--data", skewed]
    clipped, any_norm = (graft("train", *args, *more, "--out", f"run{len(more)}").json["epochs"]
                         for more in ([], ["--clip-norm", 0]))
    assert clipped[1]["train_loss"] != any_norm[1]["train_loss"]


@pytest.mark.parametrize("recipe", ["lp-ft", "gradual"])
@pytest.mark.parametrize(
    "plan, as_trained",
    [
        ("none", "none,bn=frozen"),
        ("until:layer4", "until:layer4,bn=frozen"),
        ("none,bn=train", "none,bn=train"),
        ("none,bn=affine@layer4", "none,bn=frozen,bn=affine@layer4"),
        ("norm-only", "norm-only"),
    ],
)
def test_norms_stay_as_the_head_found_them(graft, skewed, start_weights, recipe, plan, as_trained):
    """With the statistics of a batch the solved head would see other features than it was solved on."""
    epochs = 1 if recipe == "lp-ft" else 2
    args = ["--recipe", recipe, "--freeze", plan, "--epochs", epochs, "--lr", 1e-9, "--augment", "none"]
    report = train(graft, start_weights, skewed, *args).json
    assert graft("inspect", "run/model.h5", "--json").json["freeze"] == as_trained
    if recipe == "lp-ft":
        probe, tune = [e["train_loss"] for e in report["epochs"]]  # the probe's with its penalty
        assert (tune <= probe) == (as_trained != "none,bn=train")


def test_gradual_wakes_one_block_after_the_other(graft, skewed, start_weights):
    """Stopped in a stage: the blocks whose turn had not come are as they were."""
    before = start_weights[1]
    args = [*options("gradual", start_weights), "--epochs", 6, "--data", skewed, "--out", "run"]
    at = args.index("--epochs")
    process = graft.start("train", *args[:at], *args[at + 2 :])
    events = graft.folder / "run" / "events.jsonl"
    graft.stop_when(process, lambda: events.exists() and events.read_text().count("\n") >= 2, signal.SIGINT)
    graft.finish(process, args, None)
    stages = events.read_text().count("\n")
    graft("convert", "run/checkpoint.h5", "after.safetensors")
    after = read_safetensors(graft.folder / "after.safetensors")
    moved = {n for n in before if before[n].shape != after[n].shape or not np.array_equal(before[n], after[n])}
    order = ["fc", "layer4", "layer3", "layer2", "layer1", "conv1"]
    blocks = {"conv1" if n.startswith("bn1.") else n.split(".")[0] for n in moved}
    assert set(order[:stages]) <= blocks <= set(order[: stages + 1])


def test_gradual_has_a_stage_for_each_block(graft, skewed, start_weights):
    report = train(graft, start_weights, skewed, "--recipe", "gradual", "--epochs", 8).json
    phases = [e["phase"] for e in report["epochs"]]  # four blocks, stem, head
    assert phases == [f"stage {min(i, 6)}" for i in range(1, 9)]


def test_gradual_reaches_all_blocks_in_few_epochs(graft, skewed, start_weights):
    """Of six blocks one, four and all: what the model says learns has learnt."""
    result = train(graft, start_weights, skewed, "--recipe", "gradual", "--epochs", 3, "--lr", 0.01)
    assert [e["phase"] for e in result.json["epochs"]] == ["stage 1", "stage 2", "stage 3"]
    blocks = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
    rows = [line.split() for line in result.err.splitlines() if line.startswith("  ") and line.split()[0] in blocks]
    stays = [sum("frozen" in row[3:4] for row in rows[i : i + 6]) for i in (0, 6, 12)]
    assert stays == [5, 2, 0]
    before = start_weights[1]
    graft("convert", "run/checkpoint.h5", "after.safetensors")
    after = read_safetensors(graft.folder / "after.safetensors")
    assert all(not np.array_equal(before[n], after[n]) for n in before if n.endswith("conv1.weight"))


# ---- formulas ---------------------------------------------------------------------------------


def test_a_rate_for_all_is_the_rate(graft, skewed, start_weights):
    train(graft, start_weights, skewed, "--freeze", "none", "--lr", 0.25, "--lr-of", "*=0.0078125", out="a")
    train(graft, start_weights, skewed, "--freeze", "none", "--lr", 0.0078125, out="b")
    same_tensors(graft.folder / "a/checkpoint.h5", graft.folder / "b/checkpoint.h5")


def test_decay_makes_early_layers_slower(graft, skewed, start_weights):
    before = start_weights[1]
    moves = {}
    for decay in (1, 0.1):
        train(graft, start_weights, skewed, "--freeze", "none,bn=frozen", "--epochs", 1, "--lr-decay", decay)
        graft("convert", "run/checkpoint.h5", "after.safetensors")
        after = read_safetensors(graft.folder / "after.safetensors")
        moves[decay] = np.linalg.norm(after["conv1.weight"] - before["conv1.weight"])
    assert 0 < moves[0.1] < 1e-3 * moves[1]  # five blocks from the head


def test_l2_sp_holds_what_was_pretrained(graft, skewed, start_weights):
    before = start_weights[1]
    distance = {}
    for pull in (0, 40):
        train(graft, start_weights, skewed, "--freeze", "none", "--lr", 0.01, "--l2-sp", pull)
        graft("convert", "run/checkpoint.h5", "after.safetensors")
        after = read_safetensors(graft.folder / "after.safetensors")
        distance[pull] = np.linalg.norm(after["layer3.0.conv1.weight"] - before["layer3.0.conv1.weight"])
    assert 0 < distance[40] < 0.5 * distance[0]


def test_ema_saves_the_average_and_keeps_the_raw(graft, skewed, start_weights):
    report = train(graft, start_weights, skewed, "--freeze", "none", "--lr", 0.01, "--ema", 0.9).json
    plain = train(graft, start_weights, skewed, "--freeze", "none", "--lr", 0.01, out="plain").json
    same_tensors(graft.folder / "run/checkpoint.h5", graft.folder / "plain/checkpoint.h5")
    assert [e["train_loss"] for e in report["epochs"]] == [e["train_loss"] for e in plain["epochs"]]
    assert losses(report) != losses(plain)
    again = graft("eval", "--weights", "run/model.h5", "--data", skewed / "val", "--json", "--threads", 1).json
    assert again["top1"] == report["val_accuracy"]
    graft("verify", "run/model.h5")


def test_patience_ends_a_run_that_gets_no_better(whole):
    _, report = whole("patience")
    assert len(report["epochs"]) < 8
    accuracies = [e["val_accuracy"] for e in report["epochs"]]
    assert accuracies[-1] <= max(accuracies[:-1])


@pytest.mark.parametrize(
    "plan, patterns",
    [("bias-only", (".bias",)), ("norm-only", ("bn1.", "bn2.", "downsample.1."))],
)
def test_named_plans(graft, skewed, start_weights, plan, patterns):
    before = start_weights[1]
    train(graft, start_weights, skewed, "--freeze", plan, "--lr", 0.1, "--epochs", 1)
    graft("convert", "run/checkpoint.h5", "after.safetensors")
    after = read_safetensors(graft.folder / "after.safetensors")
    moved = {n for n in before if before[n].shape != after[n].shape or not np.array_equal(before[n], after[n])}
    wanted = {
        n for n in before
        if n.startswith("fc.") or (any(p in n for p in patterns) and n.endswith((".bias", ".weight")))
    }
    assert moved == wanted
    graft("inspect", "run/model.h5")


# ---- a rate to begin with ---------------------------------------------------------------------


def test_find_lr_suggests_and_leaves_nothing(graft, skewed, start_weights):
    args = ["--model", "resnet10_small", "--weights", start_weights[0], "--data", skewed, "--threads", 1]
    args += ["--batch", 6, "--freeze", "none", "--find-lr"]
    found = graft("train", *args, "--json").json
    rates = [t["lr"] for t in found["trials"]]
    assert rates == sorted(rates) and 1e-6 < found["suggestion"] < 1
    assert list(graft.folder.iterdir()) == []
    assert "suggestion: --lr" in graft("train", *args).out


# ---- what cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, words",
    [
        (["--recipe", "lpft"], ["lpft", "lp-ft"]),
        (["--recipe", "lp-ft", "--freeze", "trunk"], ["lp-ft", "--freeze"]),
        (["--recipe", "gradual", "--freeze", "trunk"], ["gradual", "--freeze"]),
        (["--recipe", "gradual", "--epochs", 1], ["gradual", "--epochs 2"]),
        (["--recipe", "gradual", "--stage-epochs", 2], ["--stage-epochs 2", "--epochs 4"]),
        (["--recipe", "gradual", "--freeze", "trunk,!layer4,fc"], ["gradual", "one block"]),
        (["--recipe", "gradual", "--probe-epochs", 2], ["--probe-epochs", "gradual"]),
        (["--recipe", "lp-ft", "--stage-epochs", 2], ["--stage-epochs", "lp-ft"]),
        (["--recipe", "lp-ft", "--probe-lr", 0.1], ["--probe-lr", "--probe-epochs"]),
        (["--lr", 0], ["--lr"]),
        (["--lr-decay", 0], ["--lr-decay"]),
        (["--lr-decay", 1.5], ["--lr-decay"]),
        (["--lr-of", "fc=0"], ["fc=0"]),
        (["--lr-of", "fc"], ["GLOB=RATE"]),
        (["--lr-of", "layer9=0.1"], ["layer9"]),
        (["--lr-of", "conv1=0.1"], ["conv1"]),
        (["--l2-sp", 0.1], ["fc"]),
        (["--ema", 1], ["--ema"]),
        (["--mixup", -1], ["--mixup"]),
        (["--sampling", "fair"], ["fair", "balanced"]),
        (["--sampling", "balanced", "--class-weights", "balanced"], ["--sampling", "--class-weights"]),
        (["--augment", "randaugment"], ["randaugment", "rand"]),
        (["--find-lr", "--recipe", "lp-ft"], ["--find-lr", "--recipe"]),
    ],
)
def test_what_cannot_be_is_said(graft, skewed, start_weights, args, words):
    message = train(graft, start_weights, skewed, *args, code=64).message
    for word in words:
        assert word in message
    assert not (graft.folder / "run").exists()


@pytest.mark.parametrize(
    "option",
    [["--recipe", "lp-ft"], ["--lr-decay", 0.5], ["--l2-sp", 1], ["--ema", 0.9], ["--mixup", 1], ["--patience", 2]],
)
def test_a_solved_head_has_no_recipe(graft, skewed, start_weights, option):
    args = ["--model", "resnet10_small", "--weights", start_weights[0], "--data", skewed, "--out", "run"]
    message = graft("train", *args, "--head-solver", "lbfgs", *option, code=64).message
    assert option[0] in message and "--head-solver lbfgs" in message
    assert "--head knn:3" in graft("train", *args, "--head", "knn:3", *option, code=64).message


@pytest.mark.parametrize("option", [["--recipe", "lp-ft"], ["--l2-sp", 1]])
def test_from_scratch_there_is_nothing_to_keep(graft, skewed, option):
    args = ["--model", "resnet10_small", "--weights", "none", "--data", skewed, "--out", "run"]
    assert option[0] in graft("train", *args, *option, code=64).message


def test_resume_compares_recipes(graft, skewed, start_weights):
    train(graft, start_weights, skewed, "--freeze", "none", "--lr-of", "fc=0.1", "--ema", 0.9, "--epochs", 1)
    for other in (["--ema", 0.5], ["--lr-of", "fc=0.2"], ["--mixup", 1]):
        assert other[0] in graft("train", "--resume", "--out", "run", *other, code=64).message
    assert "--find-lr" in graft("train", "--resume", "--out", "run", "--find-lr", code=64).message


def test_the_plan_shows_the_rates_that_blocks_have(graft, shapes):
    args = ["train", *SMALL, "--data", shapes, "--freeze", "none", "--epochs", 1, "--lr", 0.01]
    rows = {}
    for name, more in {"even": [], "falling": ["--lr-decay", 0.5]}.items():
        lines = graft(*args, *more, "--out", name).err.splitlines()
        rows[name] = {line.split()[0]: line for line in lines if line.startswith("  ") and "trained" in line}
    assert all(" 0.01 " in rows["even"][layer] for layer in ("conv1", "layer1", "layer4", "fc"))
    assert " 0.01 " in rows["falling"]["fc"] and " 0.005 " in rows["falling"]["layer4"]
    assert " 0.01 " not in rows["falling"]["conv1"]


EVIDENCE = (
    "Kumar et al., ICLR 2022", "Howard and Ruder, ACL 2018", "ELECTRA, ICLR 2020", "Li et al., ICML 2018",
    "Tarvainen and Valpola, NeurIPS 2017", "Zhang et al., ICLR 2018", "Yun et al., ICCV 2019",
    "Kang et al., ICLR 2020", "Prechelt 1998", "Smith, WACV 2017", "Zaken et al., ACL 2022",
    "Frankle et al., ICLR 2021", "Cubuk et al., NeurIPS 2020", "Wu et al., CVPR 2018", "Chen et al., ICLR 2019",
    "King and Zeng, Political Analysis 2001", "Li et al., Pattern Recognition 2018",
    "of the best epoch (Prechelt 1998)", "logistic regression (Kornblith et al., CVPR 2019)",
    "closed form (Rifkin and Klautau, JMLR 2004)", "Kolesnikov et al., CVPR 2019",
)


def test_the_help_names_the_evidence(graft):
    text = " ".join(graft("train", "--help").out.split())
    assert [name for name in EVIDENCE if name not in text] == []
    assert all("Krizhevsky et al., NeurIPS 2012" in " ".join(graft(c, "--help").out.split()) for c in ("eval", "predict"))
    assert "Wortsman et al., CVPR 2022" in " ".join(graft("soup", "--help").out.split())
