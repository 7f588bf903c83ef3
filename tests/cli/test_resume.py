"""A run that is stopped, killed or disturbed goes on as if nothing had happened: bit for bit."""

import json
import random
import shutil
import signal
import time

import numpy as np
import h5py
import pytest
from conftest import SMALL, losses, make_images, read_hdf5

CLOCKS = ("history", "numbers.train_seconds", "numbers.eval_seconds")
RUN = [*SMALL, "--epochs", 4, "--batch", 5, "--seed", 3, "--json"]
VARIANTS = {
    "sgd": ["--freeze", "none", "--lr", 0.01, "--momentum", 0.9, "--weight-decay", 0.001],
    "adamw": [
        "--freeze",
        "none",
        "--optimizer",
        "adamw",
        "--lr",
        0.001,
        "--schedule",
        "cosine",
        "--warmup-epochs",
        1,
        "--weight-decay",
        0.01,
        "--augment",
        "colour",
        "--clip-norm",
        1,
    ],
    "one-cycle": [
        "--schedule",
        "one-cycle",
        "--lr",
        0.02,
        "--nesterov",
        "--freeze",
        "until:layer2",
        "--label-smoothing",
        0.1,
        "--augment",
        "none",
        "--class-weights",
        "balanced",
    ],
}


def without_clock(path):
    found = read_hdf5(path)
    if "history" in found:
        lines = [json.loads(line) for line in found["history"]]
        found["epochs"] = np.array([json.dumps(losses({"epochs": lines}))])
    return {k: np.asarray(v) for k, v in found.items() if k not in CLOCKS}


def same_files(a, b):
    one, two = without_clock(a), without_clock(b)
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].dtype == two[name].dtype and np.array_equal(one[name], two[name]), name


def same_runs(a, b):
    """model.h5 to the byte, the checkpoint but for its clock, the events but for theirs."""
    assert (a / "model.h5").read_bytes() == (b / "model.h5").read_bytes()
    same_files(a / "checkpoint.h5", b / "checkpoint.h5")
    one, two = (
        [json.loads(line) for line in (r / "events.jsonl").read_text().splitlines()] for r in (a, b)
    )
    assert losses({"epochs": one}) == losses({"epochs": two})


def options_of(name):
    return [*RUN, *VARIANTS[name]]


@pytest.fixture(scope="module")
def whole(binary, shapes, tmp_path_factory):
    """Uninterrupted runs: name of the variant -> folder and report; each is made once."""
    from conftest import Program

    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            result = Program(binary, folder)(
                "train", *options_of(name), "--data", shapes, "--out", "run"
            )
            made[name] = folder / "run", result.json
        return made[name]

    return run


def resume(graft, *more, code=0):
    return graft("train", "--resume", "--out", "run", "--json", "--threads", 1, *more, code=code)


def finish_after_kills(graft, args, delays, number=signal.SIGKILL):
    """Starts, kills after each delay, resumes; -> the report of the last, undisturbed round."""
    for delay in delays:
        begun = (graft.folder / "run" / "checkpoint.h5").exists()
        command = (
            ["train", "--resume", "--out", "run", "--threads", 1] if begun else ["train", *args]
        )
        process = graft.start(*command)
        time.sleep(delay)
        process.send_signal(number)
        _, err = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0, 130, -signal.SIGINT), err
    if (graft.folder / "run" / "checkpoint.h5").exists():
        return resume(graft).json
    return graft("train", *args).json


# ---- exactly on -------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopped_and_resumed_is_as_if_never_stopped(graft, shapes, whole, variant):
    folder, report = whole(variant)
    args = [*options_of(variant), "--data", shapes, "--out", "run"]
    process = graft.start("train", *args)
    begun = (graft.folder / "run" / "checkpoint.h5").exists
    stopped = graft.stop_when(process, begun, signal.SIGINT)
    graft.finish(process, args, 130 if stopped and process.wait() else None)
    assert losses(resume(graft).json) == losses(report)
    same_runs(folder, graft.folder / "run")


@pytest.mark.parametrize("variant", ["sgd", "adamw"])
def test_killed_at_any_moment(graft, shapes, whole, variant):
    folder, report = whole(variant)
    total = report["seconds"]["total"]
    moments = random.Random(variant)
    delays = [moments.uniform(0.1, 0.8) * total for _ in range(3)]
    args = [*options_of(variant), "--data", shapes, "--out", "run"]
    assert losses(finish_after_kills(graft, args, delays)) == losses(report)
    same_runs(folder, graft.folder / "run")
    names = {p.name for p in (graft.folder / "run").iterdir()}
    assert names <= {"model.h5", "checkpoint.h5", "checkpoint.previous.h5", "events.jsonl", ".lock"}


def test_interrupted_in_the_middle_of_epochs(graft, shapes, whole):
    folder, report = whole("sgd")
    per_epoch = report["epochs"][-1]["seconds"]
    args = [*options_of("sgd"), "--data", shapes, "--out", "run"]
    delays = [per_epoch * part for part in (0.4, 0.9, 0.3, 1.3)]
    assert losses(finish_after_kills(graft, args, delays, signal.SIGINT)) == losses(report)
    same_runs(folder, graft.folder / "run")


def test_dropout_goes_on_exactly(graft, shapes):
    args = [
        "--model",
        "squeezenet1_1",
        "--weights",
        "none",
        "--image-size",
        64,
        "--freeze",
        "none",
        "--threads",
        1,
        "--epochs",
        2,
        "--batch",
        6,
        "--data",
        shapes,
        "--json",
    ]
    report = graft("train", *args, "--out", "whole").json
    process = graft.start("train", *args, "--out", "run")
    graft.stop_when(process, (graft.folder / "run" / "checkpoint.h5").exists, signal.SIGINT)
    graft.finish(process, args, None)
    assert losses(resume(graft).json) == losses(report)
    same_runs(graft.folder / "whole", graft.folder / "run")


@pytest.mark.parametrize(
    "more", [["--loader-threads", 0], ["--loader-threads", 3], ["--cache-mb", 0]]
)
def test_loader_threads_and_caches_change_no_bit(graft, shapes, whole, more):
    folder, report = whole("adamw")
    result = graft("train", *options_of("adamw"), *more, "--data", shapes, "--out", "run")
    assert losses(result.json) == losses(report)
    same_runs(folder, graft.folder / "run")


def test_compute_threads_change_last_bits_only(graft, shapes, whole):
    """...and a run goes on with as many as it had."""
    _, report = whole("sgd")
    args = [2 if a == 1 else a for a in options_of("sgd")]
    two = graft("train", *args, "--data", shapes, "--out", "two").json
    for a, b in zip(losses(two), losses(report)):
        assert abs(a["train_loss"] - b["train_loss"]) < 0.02
    process = graft.start("train", *args, "--data", shapes, "--out", "run")
    graft.stop_when(process, (graft.folder / "run" / "checkpoint.h5").exists, signal.SIGINT)
    graft.finish(process, args, None)
    assert losses(graft("train", "--resume", "--out", "run", "--json").json) == losses(two)
    same_runs(graft.folder / "two", graft.folder / "run")


def test_another_seed_is_another_run(graft, shapes, whole):
    folder, report = whole("sgd")
    args = [4 if a == 3 else a for a in options_of("sgd")]
    assert losses(graft("train", *args, "--data", shapes, "--out", "run").json) != losses(report)


def test_killed_over_and_over(graft, shapes, whole):
    """Whenever it dies, the next one goes on; the end is the same."""
    folder, report = whole("sgd")
    moments = random.Random(5)
    delays = [moments.uniform(0.02, 0.5) * report["seconds"]["total"] for _ in range(15)]
    args = [*options_of("sgd"), "--data", shapes, "--out", "run"]
    assert losses(finish_after_kills(graft, args, delays)) == losses(report)
    same_runs(folder, graft.folder / "run")


# ---- what is wrong with the wish --------------------------------------------------------------


@pytest.fixture
def stopped(graft, own_data):
    """A run that was interrupted in its second epoch or later."""
    process = graft.start(
        "train",
        *SMALL,
        "--data",
        own_data,
        "--freeze",
        "none",
        "--epochs",
        500,
        "--lr",
        0.01,
        "--batch",
        8,
        "--out",
        "run",
    )
    previous = graft.folder / "run" / "checkpoint.previous.h5"
    assert graft.stop_when(process, previous.exists, signal.SIGINT)
    graft.finish(process, ["train"], 130)
    return graft.folder / "run"


def few_more_epochs(graft, *more):
    """Resumes for a moment, then interrupts; -> stderr."""
    events = graft.folder / "run" / "events.jsonl"
    process = graft.start("train", "--resume", "--out", "run", "--threads", 1, *more)
    before = len(events.read_text().splitlines())
    assert graft.stop_when(
        process, lambda: len(events.read_text().splitlines()) > before, signal.SIGINT
    )
    return graft.finish(process, more, 130).err


def test_resume_with_other_images(graft, stopped, own_data):
    make_images(own_data / "train", 1, {"red": (200, 0, 0)}, first=500)
    assert "--force" in resume(graft, code=65).message
    assert "changed" in few_more_epochs(graft, "--force")


def test_resume_with_images_that_moved(graft, stopped, own_data):
    moved = own_data.rename(graft.folder / "elsewhere")
    resume(graft, code=66)
    few_more_epochs(graft, "--data", moved)


@pytest.mark.parametrize(
    "more",
    [
        ["--lr", 0.5],
        ["--batch", 9],
        ["--epochs", 3],
        ["--seed", 8],
        ["--nesterov"],
        ["--optimizer", "adamw"],
        ["--freeze", "trunk"],
        ["--model", "resnet18"],
        ["--augment", "none"],
        ["--val-split", 0.1],
    ],
)
def test_resume_with_other_options(graft, shapes, whole, more):
    folder, _ = whole("sgd")
    shutil.copytree(folder, graft.folder / "run")
    message = resume(graft, *more, code=64).message
    assert "--resume" in message and message.count(more[0]) == 2


def test_resume_with_the_same_options_spelt_out(graft, whole, shapes):
    folder, report = whole("sgd")
    shutil.copytree(folder, graft.folder / "run")
    args = [a for a in options_of("sgd") if a not in ("--json", "--threads", 1)]
    assert losses(resume(graft, *args).json) == losses(report)


def test_resume_without_a_checkpoint(graft):
    assert "run" in resume(graft, code=66).message
    assert not (graft.folder / "run").exists()
    (graft.folder / "run").mkdir()
    assert "no checkpoint" in resume(graft, code=66).message


def test_resume_of_a_model_file(graft, model):
    (graft.folder / "run").mkdir()
    shutil.copy(model, graft.folder / "run" / "checkpoint.h5")
    assert "--weights" in resume(graft, code=65).message


def test_two_at_once(graft, shapes):
    process = graft.start("train", *SMALL, "--data", shapes, "--epochs", 100000, "--out", "run")
    begun = (graft.folder / "run" / "checkpoint.h5").exists
    assert graft.stop_when(process, begun, 0)
    for more in (["--resume"], [*SMALL, "--data", shapes, "--epochs", 1]):
        assert "another graft" in graft("train", *more, "--out", "run", code=75).message
    process.send_signal(signal.SIGINT)
    graft.finish(process, ["train"], 130)


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "empty"])
def test_a_damaged_checkpoint(graft, whole, damage):
    """The one before it is used, with a notice, and the end is the same."""
    folder, report = whole("sgd")
    shutil.copytree(folder, graft.folder / "run")
    newest = graft.folder / "run" / "checkpoint.h5"
    raw = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        half = len(raw) // 2
        newest.write_bytes(
            {
                "cut": raw[:half],
                "empty": b"",
                "flipped": raw[:half] + bytes([raw[half] ^ 1]) + raw[half + 1 :],
            }[damage]
        )
    result = resume(graft)
    assert "checkpoint.previous.h5" in result.err
    assert losses(result.json) == losses(report)
    same_runs(folder, graft.folder / "run")


def test_both_checkpoints_damaged(graft, whole):
    folder, _ = whole("sgd")
    shutil.copytree(folder, graft.folder / "run")
    for name in ("checkpoint.h5", "checkpoint.previous.h5"):
        (graft.folder / "run" / name).write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "checkpoint" in resume(graft, code=65).message


def test_a_new_run_replaces_an_old_one_with_a_warning(graft, whole, shapes):
    folder, _ = whole("adamw")
    shutil.copytree(folder, graft.folder / "run")
    args = [*SMALL, "--data", shapes, "--epochs", 1, "--out", "run"]
    assert "replaces" in graft("train", *args).err
    assert len((graft.folder / "run" / "events.jsonl").read_text().splitlines()) == 1
    with h5py.File(graft.folder / "run" / "checkpoint.previous.h5") as previous:
        assert previous["integers"].attrs["step"] == 0, "it is of the old run"


def test_leftovers_of_dead_writers_are_removed(graft, stopped):
    """...and files of others are not."""
    (stopped / "mine.txt").write_text("x")
    few_more_epochs(graft)
    assert (stopped / "mine.txt").exists()
