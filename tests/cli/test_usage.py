"""The command line misused, and the surroundings of a process: streams, signals, environment."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from conftest import LIMIT, SMALL, losses

NUMBERS = {  # option -> command, lowest, highest, whether it is an integer
    "--lr": ("train", 1e-12, 1e6, False),
    "--epochs": ("train", 1, 1e6, True),
    "--batch": ("train", 1, 65536, True),
    "--momentum": ("train", 0, 0.9999, False),
    "--weight-decay": ("train", 0, 1, False),
    "--clip-norm": ("train", 0, 1e6, False),
    "--warmup-epochs": ("train", 0, 1e6, False),
    "--step-epochs": ("train", 1e-3, 1e6, False),
    "--gamma": ("train", 1e-6, 1, False),
    "--label-smoothing": ("train", 0, 0.999, False),
    "--val-split": ("train", 0, 0.9, False),
    "--max-bad-images": ("train", 0, 1, False),
    "--image-size": ("train", 0, 4096, True),
    "--cache-mb": ("train", 0, 1 << 20, True),
    "--device-cache-mb": ("train", -1, 1 << 20, True),
    "--loader-threads": ("train", -1, 1024, True),
    "--threads": ("train", 0, 1024, True),
    "--seed": ("train", 0, 2**64 - 1, True),
    "--top": ("predict", 1, 1000, True),
}
VALUES = {
    "nan": None,
    "inf": None,
    "-inf": None,
    "1e400": None,
    "-1": -1,
    "0": 0,
    "1e-400": None,
    "0x10": None,
    "1,5": None,
    str(2**63): 2**63,
    str(2**64): 2**64,
    "12abc": None,
    "": None,
    " 1": None,
    "1 ": None,
    "--1": None,
    "+": None,
    "٣": None,
}


def allowed(value, low, high):
    return VALUES[value] is not None and low <= VALUES[value] <= high


@pytest.mark.parametrize("option", NUMBERS)
def test_numbers_are_read_strictly(graft, option):
    command, low, high, integer = NUMBERS[option]
    for value in VALUES:
        if allowed(value, low, high):
            continue
        message = graft(command, option, value, "--weights", "none", code=64).message
        assert option in message and value in message and " to " in message, message
    if integer:
        assert option in graft(command, option, "1.5", code=64).message


@pytest.mark.parametrize(
    "args, words",
    [
        (["train", "--lrr", "1"], ["--lrr", "--lr"]),
        (["train", "--epoch", "1"], ["--epoch", "--epochs"]),
        (["eval", "--weight", "x"], ["--weight", "--weights"]),
        (["predict", "--weights", "x", "--topp", "3", "image"], ["--topp", "--top"]),
        (["inspect", "--modle", "x"], ["--modle", "--model"]),
        (["trian"], ["trian", "train"]),
        (["evaluate", "--data", "x"], ["evaluate", "eval"]),
        (["models", "resnet18"], ["resnet18"]),
        (["inspect", "--model", "resnet81"], ["resnet81", "resnet18"]),
        (["train", "--weights", "none", "--model", "squeezenet", "--data", "."], ["squeezenet1_1"]),
        ([], ["graft --help"]),
        (["eval"], ["--weights"]),
        (["predict", "--weights", "x"], ["images"]),
    ],
)
def test_unknown_and_missing_words(graft, args, words):
    message = graft(*args, code=64).message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "command, option",
    [
        ("train", "--lr"),
        ("train", "--data"),
        ("train", "--freeze"),
        ("train", "--seed"),
        ("eval", "--weights"),
        ("predict", "--top"),
        ("convert", "--classes"),
        ("inspect", "--model"),
    ],
)
def test_missing_values(graft, command, option):
    assert option in graft(command, option, code=64).message
    message = graft(command, option, "--json", code=64).message
    assert option in message and "--json" in message
    assert not (graft.folder / "graft-run").exists()


def test_a_value_that_looks_like_an_option_can_be_given_with_equals(graft):
    assert "--json" in graft("train", *SMALL, "--data=--json", code=66).message


@pytest.mark.parametrize(
    "args, words",
    [
        (["--strict", "--max-bad-images", "0.5"], ["--strict", "--max-bad-images"]),
        (["--nesterov", "--optimizer", "adamw"], ["--nesterov", "--optimizer"]),
        (["--nesterov", "--momentum", "0"], ["--nesterov", "--momentum"]),
        (["--momentum", "0.5", "--optimizer", "adamw"], ["--momentum", "--optimizer adamw"]),
        (["--gamma", "0.5", "--schedule", "cosine"], ["--gamma", "--schedule cosine"]),
        (["--step-epochs", "5"], ["--step-epochs", "--schedule constant"]),
        (["--warmup-epochs", "1", "--schedule", "one-cycle"], ["--warmup-epochs", "one-cycle"]),
        (["--val-split", "0.2"], ["--val-split", "--data"]),
        (["--partial"], ["--partial", "--weights none"]),
        (["--verify"], ["--verify", "--weights none"]),
        (["--force"], ["--force", "--resume"]),
        (["--epochs", "1", "--epochs", "2"], ["--epochs"]),
    ],
)
def test_options_that_contradict_each_other(graft, shapes, args, words):
    message = graft("train", *SMALL, "--data", shapes, *args, code=64).message
    for word in words:
        assert word in message
    assert not (graft.folder / "graft-run").exists(), "a refused command leaves no folder behind"


@pytest.mark.parametrize(
    "args",
    [
        ["--optimizer", "adam"],
        ["--schedule", "linear"],
        ["--augment", "heavy"],
        ["--class-weights", "x"],
        ["--device", "gpu"],
        ["--freeze", "tronk"],
        ["--freeze", "120%"],
        ["--freeze", "bn=thawed"],
    ],
)
def test_unknown_choices_are_refused_with_those_there_are(graft, shapes, args):
    message = graft("train", *SMALL, "--data", shapes, *args, code=64).message
    assert args[1] in message and (" or " in message or "nearest" in message or "0%" in message)
    assert not (graft.folder / "graft-run").exists()


def test_inspect_wants_one_thing(graft, model):
    for args in ([], [model, "--model", "resnet18"]):
        message = graft("inspect", *args, code=64).message
        assert "file" in message and "--model" in message


def test_train_without_data_and_without_model(graft, shapes):
    assert "--data" in graft("train", *SMALL, code=64).message
    assert "--model" in graft("train", "--weights", "none", "--data", shapes, code=64).message


# ---- devices ----------------------------------------------------------------------------------


def test_devices(graft, model, shapes):
    """Where there is no CUDA, asking for it is an error, and auto takes the processor."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    args = ["--weights", model, "--data", shapes, "--json"]
    message = graft("eval", *args, "--device", "cuda", code=69, env=environment).message
    assert "CUDA" in message and "--device cpu" in message
    auto = graft("eval", *args, "--device", "auto", env=environment).json
    assert auto["top1"] == graft("eval", *args, "--device", "cpu").json["top1"]


# ---- streams ----------------------------------------------------------------------------------


def shell(graft, line):
    return subprocess.run(
        ["bash", "-c", line],
        cwd=graft.folder,
        env={**os.environ, "GRAFT": graft.path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        text=True,
    )


@pytest.mark.parametrize("end", [">&-", ">/dev/full"])
@pytest.mark.parametrize(
    "command",
    [
        "models",
        "models --json",
        "--help",
        "train --help",
        "--version",
        "inspect --model resnet18 --json",
    ],
)
def test_stdout_that_takes_nothing(graft, command, end):
    done = shell(graft, f'"$GRAFT" {command} {end}')
    assert done.returncode == 74 and done.stderr.startswith("graft: stdout: "), done
    assert len(done.stderr.splitlines()) == 1


def test_stdout_that_stops_taking(graft):
    """`| head -1`: an error or all written before the pipe was closed, never death by a signal."""
    done = shell(
        graft,
        'for i in $(seq 20); do "$GRAFT" inspect --model resnet152 | head -c 1 >/dev/null; '
        "echo ${PIPESTATUS[0]}; done",
    )
    assert set(done.stdout.split()) <= {"0", "74"}, done
    done = shell(graft, '("$GRAFT" inspect --model resnet152 --json; echo $? >&2) | true')
    assert done.stderr.split()[-1] in ("0", "74"), done


def test_stderr_that_takes_nothing_does_not_stop_training(graft, shapes):
    line = (
        f'"$GRAFT" train {" ".join(map(str, SMALL))} --data "{shapes}" --epochs 1 --out run --json'
    )
    for end in ("2>&-", "2>/dev/full", "2> >(head -c 1 >/dev/null)"):
        done = shell(graft, f"{line} {end}")
        assert done.returncode == 0 and json.loads(done.stdout)["epochs"], (end, done)


def test_training_outlives_its_stdout(graft, shapes):
    done = shell(
        graft,
        f'"$GRAFT" train {" ".join(map(str, SMALL))} --data "{shapes}" --epochs 2 --out run | true;'
        " echo ${PIPESTATUS[0]}",
    )
    assert done.stdout.strip() == "74"
    assert len((graft.folder / "run" / "events.jsonl").read_text().splitlines()) == 2
    assert (graft.folder / "run" / "model.h5").exists()


def test_closed_streams_do_not_end_up_in_files(graft, shapes):
    done = shell(
        graft,
        f'"$GRAFT" train {" ".join(map(str, SMALL))} --data "{shapes}" --epochs 1 --out run '
        "<&- >&- 2>&-",
    )
    assert done.returncode == 74
    text = (graft.folder / "run" / "events.jsonl").read_text()
    assert [json.loads(line)["epoch"] for line in text.splitlines()] == [1]
    graft("inspect", "run/model.h5"), graft("inspect", "run/checkpoint.h5")


# ---- environment ------------------------------------------------------------------------------


def test_the_environment_changes_nothing(graft, model, shapes):
    """Not even a decimal comma: numbers are read and written the same everywhere."""
    args = [
        "train",
        *SMALL,
        "--data",
        shapes,
        "--epochs",
        1,
        "--batch",
        8,
        "--lr",
        "0.01",
        "--json",
        "--out",
    ]
    plain = losses(graft(*args, "plain").json)
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    comma = next((name for name in locales if name.startswith(("de_", "fr_"))), "de_DE.UTF-8")
    for i, environment in enumerate(
        [
            {},
            {"LANG": comma, "LC_ALL": comma, "TZ": "Mars/Olympus"},
            {"LC_NUMERIC": comma, "TERM": "", "HOME": "/nowhere"},
        ]
    ):
        assert losses(graft(*args, i, env=environment).json) == plain
    graft("train", "--lr", "0,01", code=64, env={"LC_ALL": comma})


def test_input_from_a_pipe_is_left_alone(graft, model, shapes):
    out = graft("eval", "--weights", model, "--data", shapes, "--json", stdin=subprocess.PIPE).json
    assert out["images"] == 18


# ---- signals ----------------------------------------------------------------------------------

LONG = ["--freeze", "none", "--epochs", 100000, "--batch", 4]


def start_training(graft, shapes, *more, **options):
    process = graft.start(
        "train", *SMALL, "--data", shapes, *LONG, "--out", "run", *more, **options
    )
    checkpoint = graft.folder / "run" / "checkpoint.h5"
    return process, checkpoint.exists


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_training_with_a_checkpoint(graft, shapes, number, code):
    process, begun = start_training(graft, shapes, "--json")
    assert graft.stop_when(process, begun, number)
    result = graft.finish(process, ["train"], code)
    assert "--resume --out run" in result.err and result.out == ""
    events = (graft.folder / "run" / "events.jsonl").read_text().splitlines()
    assert [json.loads(e)["epoch"] for e in events] == list(range(1, len(events) + 1))
    graft("inspect", "run/checkpoint.h5")
    assert sorted(p.name for p in (graft.folder / "run").iterdir() if "tmp" in p.name) == []


def test_a_second_signal_stops_at_once(graft, shapes):
    process, begun = start_training(graft, shapes)
    assert graft.stop_when(process, begun, signal.SIGINT)
    for _ in range(50):
        process.send_signal(signal.SIGINT)
    begin = time.time()
    assert process.wait(LIMIT) == 130 and time.time() - begin < 30
    process.communicate()


def test_a_signal_while_validating_stops_there(graft, own_data):
    """The epoch is not lost: after resuming, its validation is made anew."""
    for name in ("blue", "green", "red"):
        for i in range(60):
            shutil.copy(own_data / "val" / name / "1000.png", own_data / "val" / name / f"{i}.png")
    args = [
        "train",
        *SMALL,
        "--data",
        own_data,
        "--epochs",
        2,
        "--batch",
        4,
        "--freeze",
        "none",
        "--json",
    ]
    report = graft(*args, "--out", "whole").json
    for part in (0.5, 0.8):  # of the second epoch: validation takes most of it
        out = f"run{part}"
        process = graft.start(*args, "--out", out)
        begun = (graft.folder / out / "checkpoint.h5").exists
        if graft.stop_when(process, begun, 0):
            time.sleep(part * report["epochs"][1]["seconds"])
            process.send_signal(signal.SIGINT)
        graft.finish(process, args, None)
        assert losses(graft("train", "--resume", "--out", out, "--json").json) == losses(report)


@pytest.mark.parametrize("args", [["eval", "--batch", 1], ["train"]])
def test_a_signal_ends_other_work_at_once(graft, model, own_data, args):
    """Before training and in other commands there is nothing to be saved."""
    for i in range(300):
        shutil.copy(own_data / "val/red/1000.png", own_data / "val/red" / f"{i}.png")
    more = (
        [*SMALL, "--epochs", 10000]
        if args[0] == "train"
        else ["--weights", model, "--loader-threads", 0]
    )
    process = graft.start(*args, *more, "--data", own_data)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT) in (143, -signal.SIGTERM)  # the latter before main() has begun
    process.communicate()


def test_nohup(graft, shapes):
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    process, begun = start_training(graft, shapes, preexec_fn=ignore)
    assert graft.stop_when(process, begun, signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    graft.finish(process, ["train"], 130)
