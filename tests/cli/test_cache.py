"""graft train --cache: what stays of the network is computed once for each image, and no bit differs."""

import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import losses, picture, read_hdf5, read_safetensors, write_safetensors
from test_disk import fill, mounted, unmounted  # noqa: F401

SMALL = ["--model", "resnet10_small", "--threads", 1]
NET = [*SMALL, "--freeze", "trunk", "--augment", "none", "--batch", 8, "--lr", 0.02]
IMAGES, TRAIN, VAL = 54, 36, 18


class Cached:
    """Trains with the weights of a network that has learnt the three colours."""

    def __init__(self, graft, weights, data):
        self.graft, self.weights, self.data = graft, weights, data

    def args(self, *more, out="run", net=NET):
        """The options of `net`, but for those that are given."""
        pairs = zip(net[::2], net[1::2])
        rest = [part for pair in pairs if pair[0] not in more for part in pair]
        where = ["--weights", self.weights, "--data", self.data, "--out", out]
        return ["train", *where, *rest, "--json", *more]

    def __call__(self, *more, code=0, **where):
        result = self.graft(*self.args(*more, **where), code=code)
        self.err = result.err
        return result.json if code == 0 else result

    def counts(self, *more, **where):
        cache = self(*more, **where)["cache"]
        return cache["hits"], cache["misses"]


@pytest.fixture
def train(graft, model, shapes):
    return Cached(graft, model, shapes)


def weights_of(run):
    return {k: v for k, v in read_hdf5(run / "model.h5").items() if k.startswith("tensors/")}


def same_result(folder, a, b, report_a, report_b):
    assert losses(report_a) == losses(report_b)
    one, two = weights_of(folder / a), weights_of(folder / b)
    assert one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def cache_file(folder):
    (file,) = folder.glob("features-*.h5")
    return file


# ---- the same bits ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 7, 8, 10, 32])
def test_nothing_changes_but_the_time(train, batch):
    args = ["--epochs", 3, "--batch", batch]
    args = [*args, "--optimizer", "adamw"] if batch == 10 else args
    a = train(*args, "--cache", "off", out="off")
    b = train(*args, out="auto")
    same_result(train.graft.folder, "off", "auto", a, b)
    assert a["cache"] == {"in": "off", "hits": 0, "misses": 0, "mb": 0}
    assert (b["cache"]["hits"], b["cache"]["misses"]) == (2 * IMAGES, IMAGES)
    assert b["cache"]["in"] == "memory" and b["cache"]["output_of"] == "trunk"
    assert b["cache"]["mb"] == pytest.approx(IMAGES * 512 / 2**20)
    assert "feature cache: the output of trunk, 0.5 KB for each of 54 images, 0.0 MB in memory" in train.err


@pytest.mark.parametrize("plan, end", [("until:layer4", "layer3.0"), ("until:layer2", "layer1.0"), ("trunk,!layer4.0.bn2.*", "layer3.0")])
def test_cut_anywhere(train, plan, end):
    """What learns begins in the middle of the network; threads and a batch with a rest."""
    args = ["--epochs", 3, "--freeze", plan, "--threads", 2, "--batch", 10, "--momentum", 0.9]
    a = train(*args, "--cache", "off", out="off")
    b = train(*args, "--cache", "memory", out="memory")
    same_result(train.graft.folder, "off", "memory", a, b)
    assert b["cache"]["output_of"] == end and b["cache"]["misses"] == IMAGES


def test_a_second_run_starts_from_the_folder(train):
    assert train.counts("--epochs", 2, "--cache", "c") == (IMAGES, IMAGES)
    found = train("--epochs", 2, "--cache", "c", "--lr", 0.3, "--label-smoothing", 0.1, "--seed", 9, out="two")
    assert (found["cache"]["hits"], found["cache"]["misses"]) == (2 * IMAGES, 0)
    assert found["cache"]["in"] == str(cache_file(train.graft.folder / "c").relative_to(train.graft.folder))
    plain = train("--epochs", 2, "--cache", "off", "--lr", 0.3, "--label-smoothing", 0.1, "--seed", 9, out="plain")
    same_result(train.graft.folder, "two", "plain", found, plain)


def test_the_head_solver_uses_it(train):
    solve = ["--head-solver", "lbfgs"]
    net = [*SMALL, "--freeze", "trunk"]
    a = train(*solve, net=net, out="plain")
    assert a["cache"]["in"] == "off"  # auto: each image is seen once
    b = train(*solve, "--cache", "c", net=net, out="first")
    c = train(*solve, "--cache", "c", net=net, out="second")
    assert (c["cache"]["hits"], c["cache"]["misses"]) == (IMAGES, 0)
    same_result(train.graft.folder, "plain", "first", a, b)
    same_result(train.graft.folder, "plain", "second", a, c)


# ---- what has changed is computed anew --------------------------------------------------------


def test_one_image_of_other_bytes(train, own_data):
    train.data = own_data
    args = ["--epochs", 1, "--cache", "c"]
    assert train.counts(*args) == (0, IMAGES)
    image = own_data / "train" / "red" / "003.png"
    image.write_bytes(image.read_bytes() + b"\0")  # the same picture, one byte more
    assert train.counts(*args) == (IMAGES - 1, 1)
    picture((1, 2, 3), 5).save(own_data / "val" / "blue" / "1001.png")
    image.rename(image.with_name("moved.png"))  # the same bytes elsewhere
    assert train.counts(*args) == (IMAGES - 1, 1)
    assert train.counts(*args) == (IMAGES, 0)


def test_one_weight(train, tmp_path):
    train.graft("convert", train.weights, "w.safetensors")
    tensors = read_safetensors(tmp_path / "w.safetensors")
    tensors = {name: values.copy() for name, values in tensors.items()}
    train.weights = tmp_path / "w.safetensors"
    args = ["--epochs", 1, "--cache", "c"]
    assert train.counts(*args) == (0, IMAGES)
    tensors["fc.weight"][0, 0] += 1  # behind the cut
    write_safetensors(tmp_path / "w.safetensors", tensors)
    assert train.counts(*args) == (IMAGES, 0)
    tensors["layer2.0.conv1.weight"].flat[7] += np.float32(1e-6)
    write_safetensors(tmp_path / "w.safetensors", tensors)
    assert train.counts(*args) == (0, IMAGES)
    tensors["bn1.running_var"][2] *= np.float32(1.001)
    write_safetensors(tmp_path / "w.safetensors", tensors)
    assert train.counts(*args) == (0, IMAGES)


@pytest.mark.parametrize("option", [["--image-size", 28], ["--freeze", "until:layer4"], ["--threads", 2], ["--batch", 3]])
def test_one_option(train, option):
    args = ["--epochs", 1, "--cache", "c"]
    train(*args)
    assert train.counts(*args, *option) == (0, IMAGES)
    assert train.counts(*args, *option) == (IMAGES, 0)
    assert train.counts(*args) == (IMAGES, 0)


def test_a_trunk_in_bf16_has_entries_of_its_own(train):
    args = ["--epochs", 2, "--trunk-precision", "bf16"]
    a, b = train(*args, "--cache", "off", out="off"), train(*args, "--cache", "c", out="kept")
    if "no products of bf16" in train.err:
        pytest.skip("this processor has no products of bf16")
    same_result(train.graft.folder, "off", "kept", a, b)
    assert train.counts("--epochs", 2, "--cache", "c") == (IMAGES, IMAGES)
    assert train.counts(*args, "--cache", "c") == (2 * IMAGES, 0)


# ---- augmentation -----------------------------------------------------------------------------

RANDOM = [*SMALL, "--freeze", "trunk", "--batch", 8, "--lr", 0.02]


@pytest.mark.parametrize("asked", [[], ["--cache", "memory"]])
@pytest.mark.parametrize("change", [["--augment", "standard"], ["--mixup", 0.5]])
def test_of_random_pixels_those_to_validate_are_kept(train, asked, change):
    report = train("--epochs", 2, *change, "--cache", "off", net=RANDOM, out="off")
    kept = train("--epochs", 2, *change, *asked, net=RANDOM)
    assert (kept["cache"]["hits"], kept["cache"]["misses"]) == (VAL, VAL)
    assert f"each of {VAL} images to validate" in train.err
    assert ("--cache-views 4" in train.err) == (change[0] == "--augment")
    same_result(train.graft.folder, "run", "off", report, kept)


def test_views_take_turns(train):
    args = ["--epochs", 5, "--cache-views", 2, "--augment", "colour"]
    a = train(*args, "--cache", "off", net=RANDOM, out="off")
    b = train(*args, net=RANDOM, out="auto")
    same_result(train.graft.folder, "off", "auto", a, b)
    assert b["cache"]["misses"] == 2 * TRAIN + VAL and b["cache"]["hits"] == 3 * TRAIN + 4 * VAL
    c = train("--epochs", 2, net=RANDOM, out="fresh")
    d = train("--epochs", 2, "--cache-views", 2, net=RANDOM, out="two")
    same_result(train.graft.folder, "fresh", "two", c, d)  # the first epochs are those of any run


def test_other_views_in_a_folder(train):
    args = ["--epochs", 2, "--cache", "c", "--cache-views", 2]
    assert train.counts(*args, net=RANDOM) == (VAL, 2 * TRAIN + VAL)
    assert train.counts(*args, net=RANDOM) == (2 * IMAGES, 0)
    assert train.counts(*args, "--seed", 1, net=RANDOM) == (2 * VAL, 2 * TRAIN)
    assert train.counts(*args, "--augment", "colour", net=RANDOM) == (2 * VAL, 2 * TRAIN)
    assert train.counts("--epochs", 1, "--cache", "c") == (VAL, TRAIN)  # without any


def test_more_views_than_fit(train):
    """Layer 1 makes 64 KB of an image: 54 of them 3.4 MB, and 2.25 MB for each further view. Those to
    validate are kept all the same."""
    args = ["--epochs", 2, "--freeze", "until:layer2", "--cache-limit", 6]
    report = train(*args, "--cache-views", 40, net=RANDOM)
    assert (report["cache"]["hits"], report["cache"]["misses"]) == (VAL, VAL)
    assert "more than --cache-limit 6; --cache-views 2 fits" in train.err
    assert train(*args, "--cache-views", 2, net=RANDOM)["cache"]["in"] == "memory"
    assert train(*args[:4], "--cache-limit", 0, net=NET)["cache"]["in"] == "off"
    assert "more than --cache-limit 0" in train.err


def test_more_than_the_memory_that_is_free(train):
    """2.25 TB of views: what --cache-limit allows need not be there."""
    report = train("--epochs", 2, "--freeze", "until:layer2", "--cache-views", 1_000_000, "--cache-limit", 1 << 24, net=RANDOM)
    assert (report["cache"]["hits"], report["cache"]["misses"]) == (VAL, VAL)
    assert re.search(r"MB, more than \d+ MB, half of the memory that is free; --cache-views \d+ fits", train.err)


# ---- stopping, resuming, being killed ---------------------------------------------------------


@pytest.mark.parametrize("cache", [[], ["--cache", "c"], ["--cache-views", 3, "--augment", "standard", "--cache", "c"]])
def test_resumes_to_the_same_bits(train, cache):
    args = ["--epochs", 30, "--batch", 5, "--freeze", "until:layer4", *cache]
    whole = train(*args, out="whole")
    shutil.rmtree(train.graft.folder / "c", ignore_errors=True)
    process = train.graft.start(*train.args(*args, out="run"))
    events = train.graft.folder / "run" / "events.jsonl"
    reached = lambda: events.exists() and len(events.read_bytes().splitlines()) >= 2
    if not train.graft.stop_when(process, reached, signal.SIGINT):
        pytest.skip("it was done before it could be stopped")
    assert train.graft.finish(process, code=None).code in (0, 130)
    again = train.graft("train", "--resume", "--out", "run", "--json").json
    same_result(train.graft.folder, "whole", "run", whole, again)
    if cache and again["cache"]["hits"]:
        assert again["cache"]["in"].startswith("c/")  # as the stopped run had it
    off = train.graft("train", "--resume", "--out", "run", "--cache", "off", "--json").json
    assert losses(off) == losses(whole)


def test_killed_while_it_is_written(train):
    """Whenever that is: the next run finds a whole file or none, and computes the rest."""
    args = ["--epochs", 1, "--freeze", "until:layer2", "--cache", "c"]
    folder = train.graft.folder / "c"
    hit = False
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        process = train.graft.start(*train.args(*args))
        while process.poll() is None and not hit:
            hit = folder.is_dir() and any(".graft-" in name or name.startswith(".features") for name in os.listdir(folder))
        process.kill()
        train.graft.finish(process, code=None)
        if hit:
            break
    assert hit, "never met it at work"
    report = train(*args)
    assert report["cache"]["hits"] + report["cache"]["misses"] == IMAGES
    assert report["cache"]["misses"] in (0, IMAGES)
    assert [name for name in os.listdir(folder) if name.startswith(".features")] == []
    assert train.counts(*args) == (IMAGES, 0)


def test_two_at_a_time(train):
    """Both write one file: it stays whole, and a third finds everything."""
    args = ["--epochs", 2, "--freeze", "until:layer3", "--cache", "c"]
    runs = [train.graft.start(*train.args(*args, "--lr", rate, out=f"r{rate}")) for rate in (0.1, 0.01, 0.001)]
    for process in runs:
        result = train.graft.finish(process)
        assert "warning" not in result.err
    assert train.counts(*args) == (2 * IMAGES, 0)


# ---- files ------------------------------------------------------------------------------------



def cut(raw, other):
    return raw[: len(raw) // 2]


def cut_the_seal(raw, other):
    return raw[:-24]


def flipped(raw, other):
    at = len(raw) * 2 // 3
    return raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :]


def another_network(raw, other):
    return other


def no_hdf5(raw, other):
    return b"features"


def empty(raw, other):
    return b""


@pytest.mark.parametrize("spoil", [cut, cut_the_seal, flipped, another_network, no_hdf5, empty])
def test_a_file_that_cannot_be_used(train, spoil):
    args = ["--epochs", 1, "--cache", "c"]
    plain = train(*args)
    train("--epochs", 1, "--freeze", "until:layer4", "--cache", "other", out="other")
    file = cache_file(train.graft.folder / "c")
    file.write_bytes(spoil(file.read_bytes(), cache_file(train.graft.folder / "other").read_bytes()))
    again = train(*args, out="again")
    assert "warning: feature cache: " in train.err and "computed anew" in train.err and file.name in train.err
    assert (again["cache"]["hits"], again["cache"]["misses"]) == (0, IMAGES)
    same_result(train.graft.folder, "run", "again", plain, again)
    assert train.counts(*args) == (IMAGES, 0)  # it was replaced


def test_of_another_version(train):
    h5py = pytest.importorskip("h5py")
    args = ["--epochs", 1, "--cache", "c"]
    train(*args)
    file = cache_file(train.graft.folder / "c")
    raw = file.read_bytes()
    file.write_bytes(raw[:-24])
    with h5py.File(file, "r+") as h5:
        h5.attrs.modify("version", np.int64(2))
    assert train.counts(*args) == (0, IMAGES)
    assert "version 2" in train.err


def test_a_full_disk(train, unmounted):  # noqa: F811
    mounted(train.graft.folder / "disk", "size=1m")
    args = ["--epochs", 3, "--freeze", "until:layer2", "--cache", "disk/c"]
    report = train(*args)
    assert train.err.count("warning: feature cache: ") == 1 and "No space left" in train.err
    assert (report["cache"]["hits"], report["cache"]["misses"]) == (2 * IMAGES, IMAGES)
    assert list((train.graft.folder / "disk").rglob("*.h5")) == []


def test_a_read_only_disk(train, unmounted):  # noqa: F811
    """What is there is used; what is new stays in memory, with a warning."""
    disk = train.graft.folder / "disk"
    mounted(disk, "size=20m")
    train("--epochs", 1, "--cache", "disk/c")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert train.counts("--epochs", 2, "--cache", "disk/c") == (2 * IMAGES, 0)
    assert "warning" not in train.err.replace("warning: this replaces", "")
    assert train.counts("--epochs", 2, "--cache", "disk/c", "--image-size", 28) == (IMAGES, IMAGES)
    assert "warning: feature cache: " in train.err and "it stays in memory" in train.err
    assert train.counts("--epochs", 2, "--cache", "disk/new") == (IMAGES, IMAGES)
    assert "warning: feature cache: " in train.err


def test_a_full_disk_makes_room(train, own_data, unmounted):  # noqa: F811
    """What is less recently used goes before something is written, and last the file that is replaced."""
    disk = train.graft.folder / "disk"
    train.data = own_data
    mounted(disk, "size=20m")
    train("--epochs", 1, "--freeze", "until:layer2", "--cache", "disk/c", out="large")
    large = cache_file(disk / "c")
    fill(disk / "filler")
    assert train.counts("--epochs", 1, "--cache", "disk/c") == (0, IMAGES)
    small = cache_file(disk / "c")
    assert "warning" not in train.err and small != large
    picture((9, 9, 9), 77).save(own_data / "train" / "red" / "003.png")
    fill(disk / "filler2")
    os.truncate(disk / "filler2", os.path.getsize(disk / "filler2") - 24576)  # the structure of a file
    before = small.stat().st_mtime_ns
    assert train.counts("--epochs", 1, "--cache", "disk/c", out="third") == (IMAGES - 1, 1)
    assert "warning" not in train.err and small.stat().st_mtime_ns > before
    assert train.counts("--epochs", 1, "--cache", "disk/c", out="fourth") == (IMAGES, 0)


def test_the_oldest_files_make_room(train):
    """A folder of 4 MB: the features of 2.2 MB of a second network push out those of the first."""
    args = ["--epochs", 1, "--cache", "c", "--cache-limit", 4]
    first = train(*args, "--freeze", "until:layer2")["cache"]["in"]
    small = train(*args)["cache"]["in"]
    time.sleep(0.02)
    assert train.counts(*args, "--freeze", "until:layer2") == (IMAGES, 0)  # used again: not the oldest
    second = train(*args, "--freeze", "until:layer2", "--image-size", 26)["cache"]["in"]
    there = lambda path: (train.graft.folder / path).exists()
    assert there(second) and not there(first) and not there(small)


# ---- what is said -----------------------------------------------------------------------------


def test_where_no_folder_can_be(train, unmounted):  # noqa: F811
    """Said before anything is computed, with the cause."""
    (train.graft.folder / "file").write_text("x")
    disk = train.graft.folder / "disk"
    mounted(disk, "size=1m,ro")
    for where, cause in [("file/below", "Not a directory"), ("disk/c", "Read-only file system")]:
        report = train("--epochs", 1, "--cache", where)
        (warning,) = [line for line in train.err.splitlines() if "warning: feature cache" in line]
        assert where in warning and cause in warning and "stays in memory" in warning
        assert train.err.index(warning) < train.err.index("epoch   1/1") and report["cache"]["in"] == "memory"


def test_what_was_computed_stays_whatever_ends_the_run(train):
    net = [*SMALL, "--freeze", "trunk"]
    assert "not converged" in train("--head-solver", "lbfgs", "--solver-iterations", 1, "--cache", "c", net=net, code=70).message
    assert train.counts("--head-solver", "ridge", "--cache", "c", net=net) == (TRAIN, VAL)


def test_the_search_for_a_rate_keeps_features(train):
    args = [part for part in train.args("--find-lr", "--cache", "c") if part not in ("--out", "run")]
    train.graft(*args)
    hits, misses = train.counts("--epochs", 1, "--cache", "c")
    assert hits >= TRAIN and misses == IMAGES - hits


def test_where_nothing_stays(train):
    report = train("--epochs", 2, "--freeze", "none", out="a")
    assert report["cache"]["in"] == "off" and "feature cache" not in train.err
    train("--epochs", 2, "--freeze", "none", "--cache", "memory", out="b")
    assert "feature cache: off, --freeze none leaves nothing fixed before conv1" in train.err
    train("--epochs", 2, "--freeze", "trunk,bn=stats", "--cache", "c", out="d")
    assert "leaves nothing fixed before conv1" in train.err
    train("--epochs", 2, "--freeze", "until:layer4,bn=affine", out="e")  # of every norm, by mistake
    assert "leaves nothing fixed before conv1" in train.err
    train("--epochs", 2, "--freeze", "none", "--cache-views", 2, net=[*SMALL, "--batch", 8], out="f")
    assert "leaves nothing fixed before conv1" in train.err


def test_wrong_options(train):
    (train.graft.folder / "file").write_text("x")
    assert "is a file" in train("--cache", "file", code=64).message
    assert "is empty" in train("--cache", "", code=64).message
    assert "--cache-views" in train("--cache-views", 3, code=64).message
    assert "--cache-views" in train("--cache-views", "many", code=64).message
    assert "--cache-limit" in train("--cache-limit", -1, code=64).message
    assert not (train.graft.folder / "run").exists()


def test_a_bad_image_stays_bad(train, own_data):
    (own_data / "train" / "red" / "002.png").write_bytes(b"no picture")
    train.data = own_data
    a = train("--epochs", 3, "--cache", "off", out="off")
    b = train("--epochs", 3, "--cache", "c", out="on")
    c = train("--epochs", 3, "--cache", "c", out="again")
    same_result(train.graft.folder, "off", "on", a, b)
    same_result(train.graft.folder, "off", "again", a, c)
    assert b["cache"]["misses"] == IMAGES - 1 and c["cache"]["misses"] == 0 and c["bad_images"] == 1
    assert "skipped" in train.err and "002.png" in train.err


def test_an_image_changed_while_training(train, own_data):
    """Its name may come again with other pixels: an entry is of the bytes that were decoded."""
    train.data = own_data
    process = train.graft.start(*train.args("--epochs", 60, "--cache", "c"))
    events = train.graft.folder / "run" / "events.jsonl"
    train.graft.stop_when(process, lambda: events.exists() and events.stat().st_size > 0, 0)
    picture((9, 9, 9), 77).save(own_data / "train" / "red" / "003.png")
    train.graft.finish(process)
    assert train.counts("--epochs", 1, "--cache", "c") == (IMAGES - 1, 1)


# ---- a real network ---------------------------------------------------------------------------


def test_real_squeezenet(graft, real_data):
    """Ten epochs of a head on bees and ants: the same bits, several times as fast."""
    weights = real_data / "weights/squeezenet1_1/squeezenet1_1.safetensors"
    args = ["train", "--weights", weights, "--data", real_data / "images/hymenoptera", "--augment", "none",
            "--epochs", 4, "--max-bad-images", 0.1, "--json"]
    off = graft(*args, "--cache", "off", "--out", "off").json
    first = graft(*args, "--cache", "c", "--out", "first").json
    second = graft(*args, "--cache", "c", "--out", "second", "--lr", 0.002).json
    same_result(graft.folder, "off", "first", off, first)
    assert first["cache"]["hits"] == 3 * first["cache"]["misses"] and second["cache"]["misses"] == 0
    print([round(r["seconds"]["total"], 1) for r in (off, first, second)])
    assert max(e["seconds"] for e in first["epochs"][1:]) < first["epochs"][0]["seconds"] / 4
