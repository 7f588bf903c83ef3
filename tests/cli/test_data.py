"""Images and data sets with every fault that a folder of photographs can have."""

import os
import shutil

import numpy as np
import pytest
from conftest import COLOURS, SMALL, make_data, make_images, picture

ONE_EPOCH = ["train", *SMALL, "--epochs", 1, "--out", "run"]


def train(graft, data, *more, code=0):
    return graft(*ONE_EPOCH, "--data", data, *more, code=code)


def png(folder, name="base.png"):
    picture((100, 150, 200), 1).save(folder / name)
    return (folder / name).read_bytes()


def jpeg(folder):
    picture((100, 150, 200), 1).save(folder / "base.jpg")
    return (folder / "base.jpg").read_bytes()


BAD = {  # name -> bytes from a good PNG and a good JPEG, and a word of the message
    "empty.png": (lambda p, j: b"", "empty"),
    "cut.png": (lambda p, j: p[: len(p) // 2], ""),
    "cut.jpg": (lambda p, j: j[: len(j) // 2], ""),
    "crc.png": (lambda p, j: p[:-30] + bytes([p[-30] ^ 1]) + p[-29:], ""),
    "text.jpg": (lambda p, j: b"<html><body>404 not found</body></html>", ""),
    "webp.jpg": (lambda p, j: b"RIFF\x24\0\0\0WEBPVP8 " + bytes(20), "WebP"),
    "gif.png": (lambda p, j: b"GIF89a" + bytes(30), "GIF"),
    "zeros.jpg": (lambda p, j: bytes(1000), ""),
}


# ---- images -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_named_and_skipped(graft, own_data, model, tmp_path, name):
    make, word = BAD[name]
    bad = own_data / "val" / "red" / name
    bad.write_bytes(make(png(tmp_path), jpeg(tmp_path)))
    result = graft("eval", "--weights", model, "--data", own_data, "--json")
    assert result.json["images"] == 18 and result.json["bad_images"] == 1
    lines = [line for line in result.err.splitlines() if str(bad) in line]
    assert len(lines) == 1 and word in lines[0], result.err
    message = graft("eval", "--weights", model, "--data", own_data, "--strict", code=65).message
    assert str(bad) in message
    assert str(bad) in graft("predict", "--weights", model, bad, code=65).message


def test_bad_images_in_training_up_to_a_limit(graft, own_data):
    (own_data / "train" / "red" / "bad.png").write_bytes(b"nothing")
    result = train(graft, own_data, "--json")
    assert result.json["bad_images"] == 1 and "train/red/bad.png" in result.err
    assert "bad.png" in train(graft, own_data, "--strict", code=65).message
    for i in range(3):
        (own_data / "train" / "blue" / f"bad{i}.png").write_bytes(b"nothing")
    message = train(graft, own_data, code=65).message
    assert "2 of 40 images" in message and "--max-bad-images" in message
    assert train(graft, own_data, "--max-bad-images", 0.2, "--json").json["bad_images"] == 4


def test_every_image_bad(graft, own_data):
    for file in own_data.glob("train/*/*.png"):
        file.write_bytes(b"nothing")
    assert "train" in train(graft, own_data, "--max-bad-images", 1, code=65).message


def test_predict_goes_on_after_a_bad_image(graft, model, shapes, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    good = shapes / "val/red/1000.png"
    result = graft("predict", "--weights", model, good, "bad.png", good, "--json", code=65)
    assert [entry["file"] for entry in result.json] == [str(good), str(good)]
    assert "bad.png" in result.message
    assert (
        graft("predict", "--weights", model, good, "bad.png", "--strict", "--json", code=65).out
        == ""
    )
    assert "none.png" in graft("predict", "--weights", model, "none.png", code=66).message


def test_contents_count_not_names(graft, model, tmp_path):
    """A PNG called .jpg and the reverse; grey, palette, alpha and 16 bits; one pixel."""
    image = picture(COLOURS["red"], 5)
    image.save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "a.jpg")
    image.convert("L").save(tmp_path / "grey.png")
    image.convert("P").save(tmp_path / "palette.png")
    image.convert("RGBA").save(tmp_path / "alpha.png")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    image.resize((1, 1)).save(tmp_path / "one.png")
    image.resize((1, 500)).save(tmp_path / "thin.png")
    names = [
        "a.png",
        "a.jpg",
        "grey.png",
        "palette.png",
        "alpha.png",
        "cmyk.jpg",
        "one.png",
        "thin.png",
    ]
    report = graft("predict", "--weights", model, *names, "--json").json
    assert report[0]["classes"] == report[1]["classes"] == report[4]["classes"]
    assert all(np.isfinite(c["probability"]) for entry in report for c in entry["classes"])


def test_exif_turns_the_image(graft, model, tmp_path):
    """The stored image and its turned copy give the same answer."""
    upright = picture(COLOURS["red"], 5, (60, 40))
    upright.save(tmp_path / "upright.png")
    exif = upright.getexif()
    exif[0x0112] = 3
    upright.rotate(180).save(tmp_path / "turned.jpg", exif=exif, quality=100, subsampling=0)
    upright.save(tmp_path / "plain.jpg", quality=100, subsampling=0)
    report = graft("predict", "--weights", model, "plain.jpg", "turned.jpg", "--json").json
    for a, b in zip(report[0]["classes"], report[1]["classes"]):
        assert a["name"] == b["name"] and abs(a["probability"] - b["probability"]) < 0.02


# ---- folders ----------------------------------------------------------------------------------


def test_a_missing_folder(graft, model):
    assert "nowhere" in train(graft, "nowhere", code=66).message
    assert "nowhere" in graft("eval", "--weights", model, "--data", "nowhere", code=66).message
    assert not (graft.folder / "run").exists()


def test_no_class_folder(graft, model, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "flat").mkdir()
    picture((1, 2, 3), 1).save(tmp_path / "flat" / "a.png")
    for name in ("empty", "flat"):
        message = train(graft, name, code=65).message
        assert name in message and "class" in message
        graft("eval", "--weights", model, "--data", name, code=65)


def test_one_class(graft, tmp_path):
    data = make_data(tmp_path / "one", 4, 2, {"only": (9, 9, 9)})
    assert "one class" in train(graft, data, code=65).message
    train(graft, data, "--allow-single-class")


def test_an_empty_class(graft, own_data):
    for part in ("train", "val"):
        (own_data / part / "void").mkdir()
    assert "void" in train(graft, own_data, code=65).message
    assert "void" in train(graft, own_data, "--allow-empty").err


def test_classes_that_differ_between_train_and_val(graft, own_data):
    shutil.move(own_data / "val" / "red", own_data / "val" / "rot")
    message = train(graft, own_data, code=65).message
    assert "red" in message and "rot" in message and "green" not in message


def test_no_validation_images(graft, shapes):
    assert "--val-split" in train(graft, shapes / "train", code=65).message


def test_what_is_left_out_is_counted(graft, own_data):
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (own_data / "train" / "red" / name).write_text("x")
    result = train(graft, own_data)
    assert "left out: 1 extension .txt" in result.err and "DS_Store" not in result.err


def test_the_same_image_in_train_and_val(graft, own_data):
    shutil.copy(own_data / "val/red/1000.png", own_data / "train/red/again.png")
    assert "1 of 18 validation images" in train(graft, own_data).err


def test_odd_names(graft, own_data, model):
    odd = [
        b"with space.png",
        b"new\nline.png",
        b"-leading.png",
        b"quote'\".png",
        b"\xff\xfe.png",
        b"x" * 251 + b".png",
        "ünï.png".encode(),
        b"back\\slash.png",
        b"\x1b[31m.png",
    ]
    folder = os.fsencode(own_data / "val" / "red")
    for name in odd:
        shutil.copy(own_data / "val/red/1000.png", os.path.join(folder, name))
    report = graft("eval", "--weights", model, "--data", own_data, "--json").json
    assert report["images"] == 18 + len(odd) and report["bad_images"] == 0
    files = [os.path.join(folder, name) for name in odd]
    process = graft.start("predict", "--json", "--top", 1, "--weights", model)
    graft.finish(process, code=64)
    import subprocess

    done = subprocess.run(
        [graft.path, "predict", "--weights", str(model), "--", *files], capture_output=True
    )
    assert done.returncode == 0 and b"\x1b" not in done.stdout and b"\xff" not in done.stdout
    (own_data / "val" / "red" / "new\nline.png").write_bytes(b"bad")
    result = graft("eval", "--weights", model, "--data", own_data)
    assert "new\\nline.png" in result.err


def test_class_names_from_everywhere(graft, tmp_path):
    """Names are kept byte for byte; a terminal sees them escaped."""
    names = ["blå bær", "grün'", "rot;\ttab"]
    data = make_data(tmp_path / "names", 3, 2, dict(zip(names, COLOURS.values())))
    assert train(graft, data, "--json").json["classes"] == sorted(names, key=str.encode)
    assert "\t" not in graft("inspect", "run/model.h5").out
    assert graft("eval", "--weights", "run/model.h5", "--data", data, "--json").json["images"] == 6


def test_no_pipe_device_or_folder_in_place_of_an_image(graft, own_data, model):
    red = own_data / "val" / "red"
    os.mkfifo(red / "pipe.png")
    (red / "folder.png").mkdir()
    (red / "broken.png").symlink_to("nothing.png")
    (red / "null.png").symlink_to("/dev/zero")
    (red / "loop").symlink_to("..")
    report = graft("eval", "--weights", model, "--data", own_data, "--json").json
    assert report["images"] >= 18
    for name in ("pipe.png", "folder.png", "null.png"):
        assert name in graft("predict", "--weights", model, red / name, code=65).message
    assert "broken.png" in graft("predict", "--weights", model, red / "broken.png", code=66).message
    os.mkfifo(graft.folder / "pipe.csv")
    assert "pipe.csv" in graft("eval", "--weights", model, "--data", "pipe.csv", code=65).message
    assert "pipe.csv" in graft("inspect", "pipe.csv", code=65).message


def test_unreadable(graft, own_data, model):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    bad = own_data / "val" / "red" / "1000.png"
    bad.chmod(0)
    result = graft("eval", "--weights", model, "--data", own_data, "--json")
    assert result.json["bad_images"] == 1 and str(bad) in result.err
    (own_data / "val" / "red").chmod(0)
    message = graft("eval", "--weights", model, "--data", own_data, code=77).message
    (own_data / "val" / "red").chmod(0o755)
    assert "red" in message


def test_an_image_that_vanishes(graft, shapes, model):
    """Named in a CSV file but not there: skipped like any other bad image."""
    rows = [f"{shapes}/val/{name}/{i}.png,{name}" for name in COLOURS for i in range(1000, 1006)]
    (graft.folder / "list.csv").write_text("\n".join(["path,label", *rows, "gone.png,red"]) + "\n")
    result = graft("eval", "--weights", model, "--data", "list.csv", "--json")
    assert result.json["bad_images"] == 1 and "gone.png" in result.err


def test_fewer_images_than_the_batch(graft, shapes):
    report = train(graft, shapes, "--batch", 1000, "--json").json
    assert len(report["epochs"]) == 1


def test_batch_norm_wants_more_than_one_image(graft, shapes):
    message = train(graft, shapes, "--batch", 1, "--freeze", "none", code=64).message
    assert "--batch" in message and "bn=frozen" in message
    assert "warning: batch norm" in train(graft, shapes, "--batch", 4, "--freeze", "none").err


def test_unequal_classes(graft, own_data):
    for file in list(own_data.glob("train/red/*.png"))[1:]:
        file.unlink()
    result = train(graft, own_data, "--class-weights", "balanced")
    assert "the largest class has 12 images, the smallest 1" in result.err


# ---- CSV --------------------------------------------------------------------------------------

CSV_FAULTS = {
    "no label column": ("path,size\na.png,3\n", "label"),
    "label out of range": ("a.png,7\n", "7"),
    "NaN label": ("a.png,red\nb.png,nan\n", "line 2"),
    "twice": ("a.png,red\na.png,red\n", "line 2"),
    "columns": ("path,label\na.png,red,train,1\n", "line 2"),
    "header only": ("path,label\n", "no rows"),
    "open quote": ('path,label\n"a.png,red\n', "list.csv"),
    "nothing": ("", "list.csv"),
    "split": ("path,label,split\na.png,red,test\n", "test"),
    "negative": ("a.png,-1\n", "-1"),
    "long line": ("a.png," + "r" * (2 << 20) + "\n", "line 1"),
}


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_csv_with_a_fault(graft, model, fault):
    text, word = CSV_FAULTS[fault]
    (graft.folder / "list.csv").write_text(text)
    message = graft("eval", "--weights", model, "--data", "list.csv", code=65).message
    assert "list.csv" in message and word in message and len(message) < 1000


def test_csv_from_everywhere(graft, shapes):
    rows = [
        f'"{shapes}/{part}/{name}/{i:03}.png",{name},{part}'
        for name in COLOURS
        for part, first in (("train", 0), ("val", 1000))
        for i in range(first, first + 4)
    ]
    (graft.folder / "list.csv").write_bytes(
        b"\xef\xbb\xbf" + "\r\n".join(["path,label,split", *rows]).encode()
    )
    result = train(graft, "list.csv", "--json")
    assert result.json["classes"] == list(COLOURS)
    assert "on 12 images, 12 to validate" in result.err
