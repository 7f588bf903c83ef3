"""The contract of the command line: commands, options, the keys of --json, classes by name."""

import json
import shutil

import numpy as np
import pytest
from conftest import COLOURS, SMALL, make_data, make_images, read_safetensors

COMMANDS = ["train", "eval", "predict", "inspect", "convert", "soup", "models", "demo"]


# ---- help -------------------------------------------------------------------------------------


def test_help_names_every_command(graft):
    text = graft("--help").out
    for command in COMMANDS:
        assert command in text
    assert graft("--version").out.startswith("graft ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(graft, command):
    text = graft(command, "--help").out
    assert f"  graft {command}" in text.split("xample")[-1], "no example"
    for option in ("--json", "--device", "--threads", "--seed"):
        assert option in text


def test_help_states_the_range_of_numbers(graft):
    text = graft("train", "--help").out
    for option in ("--lr", "--batch", "--epochs", "--threads", "--momentum"):
        line = next(line for line in text.splitlines() if line.strip().startswith(option + " "))
        assert "[" in line and "]" in line


# ---- --json -----------------------------------------------------------------------------------


def test_train_json(trained):
    folder, result = trained
    report = result.json
    assert set(report) >= {
        "val_accuracy",
        "epochs",
        "images_per_second",
        "seconds",
        "peak_rss_mb",
        "frozen_parameters",
        "trained_parameters",
        "model",
    }
    assert [e["epoch"] for e in report["epochs"]] == [1, 2, 3, 4, 5, 6]
    for epoch in report["epochs"]:
        assert set(epoch) == {"epoch", "train_loss", "val_loss", "val_accuracy", "seconds"}
    assert set(report["seconds"]) == {"load", "train", "eval", "total"}
    assert report["val_accuracy"] == max(e["val_accuracy"] for e in report["epochs"])
    assert report["val_accuracy"] >= 0.9
    assert report["model"] == "run/model.h5" and (folder / "model.h5").is_file()
    assert report["images_per_second"] > 0 and report["peak_rss_mb"] > 0
    assert report["frozen_parameters"] == 0 and report["trained_parameters"] == 307923
    assert report["seconds"]["total"] >= report["seconds"]["train"]


def test_events_say_what_json_says(trained):
    folder, result = trained
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert events == result.json["epochs"]


def test_a_run_folder_is_what_it_is_said_to_be(trained):
    names = {path.name for path in trained[0].iterdir()}
    assert names == {"model.h5", "checkpoint.h5", "checkpoint.previous.h5", "events.jsonl", ".lock"}


def test_eval_json(graft, model, shapes, trained):
    report = graft("eval", "--weights", model, "--data", shapes / "val", "--json").json
    assert set(report) >= {"images", "top1", "top5", "seconds"}
    assert report["images"] == 18 and report["top5"] == 1
    assert report["top1"] == trained[1].json["val_accuracy"]


def test_eval_of_a_folder_with_a_split_takes_val(graft, model, shapes):
    assert graft("eval", "--weights", model, "--data", shapes, "--json").json["images"] == 18


def test_eval_without_json(graft, model, shapes):
    out = graft("eval", "--weights", model, "--data", shapes).out
    assert "18 images" in out and "top-1" in out


def test_predict_json(graft, model, shapes):
    files = [shapes / "val" / name / "1000.png" for name in COLOURS]
    report = graft("predict", "--weights", model, *files, "--json").json
    assert [entry["file"] for entry in report] == [str(f) for f in files]
    for entry in report:
        assert {"name", "probability"} <= set(entry["classes"][0])
        probabilities = [c["probability"] for c in entry["classes"]]
        assert sorted(probabilities, reverse=True) == probabilities
        assert abs(sum(probabilities) - 1) < 1e-5
    assert [entry["classes"][0]["name"] for entry in report] == list(COLOURS)


def test_predict_top(graft, model, shapes):
    file = shapes / "val" / "red" / "1000.png"
    assert (
        len(graft("predict", "--weights", model, file, "--top", 1, "--json").json[0]["classes"])
        == 1
    )
    text = graft("predict", "--weights", model, file, "--top", 2).out
    assert len(text.splitlines()) == 3 and "red" in text and "%" in text


def test_models_json(graft):
    rows = {row["name"]: row for row in graft("models", "--json").json}
    assert rows["resnet18"]["parameters"] == 11689512
    assert rows["squeezenet1_1"]["parameters"] == 1235496
    assert rows["vgg16"]["input"] == 224
    text = graft("models").out
    for name in rows:
        assert name in text


def test_inspect_json(graft, model, trained):
    report = graft("inspect", model, "--json").json
    assert report["architecture"] == "resnet10_small" and report["parameters"] == 307923
    assert report["classes"] == list(COLOURS)
    text = graft("inspect", model).out
    assert "layer4.0.conv2" in text and "blue, green and red" in text
    assert (
        graft("inspect", trained[0] / "checkpoint.h5", "--json").json["architecture"]
        == "resnet10_small"
    )


def test_inspect_a_network_by_name(graft):
    report = graft("inspect", "--model", "resnet18", "--json").json
    assert report["parameters"] == 11689512


@pytest.mark.parametrize("command", ["train", "eval", "predict", "inspect", "convert", "models"])
def test_json_is_all_there_is_on_stdout(graft, command, model, shapes):
    args = {
        "train": [*SMALL, "--data", shapes, "--epochs", 1, "--out", "r"],
        "eval": ["--weights", model, "--data", shapes],
        "predict": ["--weights", model, shapes / "val/red/1000.png"],
        "inspect": [model],
        "convert": [model, "out.h5"],
        "models": [],
    }[command]
    result = graft(command, *args, "--json")
    assert isinstance(result.json, (dict, list))


# ---- convert ----------------------------------------------------------------------------------


def test_convert_there_and_back(graft, model, shapes):
    graft("convert", model, "a.safetensors")
    report = graft("convert", "a.safetensors", "b.h5", "--json").json
    assert report["architecture"] == "resnet10_small" and report["missing"] == []
    graft("convert", "b.h5", "c.safetensors")
    a, c = (read_safetensors(graft.folder / f"{n}.safetensors") for n in "ac")
    assert a.keys() == c.keys()
    for name in a:
        assert a[name].dtype == c[name].dtype and np.array_equal(a[name], c[name])


def test_convert_keeps_classes_and_predictions(graft, model, shapes):
    image = shapes / "val" / "red" / "1000.png"
    graft("convert", model, "copy.h5")
    before = graft("predict", "--weights", model, image, "--json").out
    assert graft("predict", "--weights", "copy.h5", image, "--verify", "--json").out == before


@pytest.mark.parametrize(
    "classes",
    [
        "red\ngreen\nblue\n",
        "\ufeffred\r\ngreen\r\nblue\r\n",
        '["red", "green", "blue"]',
        '{"0": "red", "1": "green", "2": "blue"}',
        '{"2": ["n3", "blue"], "0": ["n1", "red"], "1": ["n2", "green"]}',
    ],
)
def test_convert_puts_classes_in(graft, model, classes):
    (graft.folder / "classes").write_text(classes, encoding="utf-8")
    graft("convert", model, "named.h5", "--classes", "classes")
    report = graft("inspect", "named.h5", "--json").json
    assert report["classes"] == ["red", "green", "blue"]
    assert report["class_ids"] == (["n1", "n2", "n3"] if "n1" in classes else [])


@pytest.mark.parametrize(
    "classes",
    [
        "red\ngreen\n",
        '{"0": "red", "1": "green"}',
        "{",
        '{"0": 1}',
        "",
        '[["a"], "b", "c"]',
        "[" * 100000,
    ],
)
def test_convert_refuses_classes_that_do_not_fit(graft, model, classes):
    (graft.folder / "classes").write_text(classes)
    assert "classes" in graft("convert", model, "named.h5", "--classes", "classes", code=65).message
    assert not (graft.folder / "named.h5").exists()


@pytest.mark.parametrize("out", ["m.h5", "./m.h5", "link.h5", "sub/../m.h5"])
def test_convert_never_onto_itself(graft, model, out):
    shutil.copy(model, graft.folder / "m.h5")
    (graft.folder / "sub").mkdir()
    (graft.folder / "link.h5").symlink_to("m.h5")
    assert (
        "m.h5" in graft("convert", graft.folder / "m.h5", out, code=64).message or "link.h5" in out
    )
    assert (graft.folder / "m.h5").read_bytes() == model.read_bytes()


def test_convert_to_an_unknown_kind(graft, model):
    for name in ("m.tflite", "onnx", "m.onnx.data"):
        message = graft("convert", model, name, code=64).message
        assert ".h5, .safetensors or .onnx" in message


def test_convert_into_a_folder_that_is_not_there(graft, model):
    assert "nowhere/m.h5" in graft("convert", model, "nowhere/m.h5", code=73).message


# ---- classes by name --------------------------------------------------------------------------


def test_eval_matches_classes_by_name_not_by_order(graft, model, shapes, tmp_path):
    """The same images with one class left out and one named by its number."""
    few = tmp_path / "few"
    shutil.copytree(shapes / "val" / "red", few / "red")  # the third class, now the first folder
    report = graft("eval", "--weights", model, "--data", few, "--json").json
    assert report["images"] == 6 and report["top1"] >= 0.8
    shutil.move(few / "red", few / "2")
    assert graft("eval", "--weights", model, "--data", few, "--json").json["top1"] == report["top1"]


def test_eval_with_an_unknown_class(graft, model, tmp_path):
    make_images(tmp_path / "few", 1, {"red": (255, 0, 0), "violet": (255, 0, 255)})
    message = graft("eval", "--weights", model, "--data", "few", code=65).message
    assert "violet" in message and "blue" in message


@pytest.mark.parametrize(
    "labels",
    [
        dict(zip(COLOURS, COLOURS)),
        dict(zip(COLOURS, "012")),
        dict(zip(COLOURS, ["w1", "w2", "w3"])),
    ],
)
def test_eval_of_a_csv_by_name_number_or_id(graft, model, shapes, labels):
    (graft.folder / "ids").write_text(
        json.dumps({str(i): [f"w{i + 1}", n] for i, n in enumerate(COLOURS)})
    )
    graft("convert", model, "ids.h5", "--classes", "ids")
    rows = [
        f"{shapes}/val/{name}/{i}.png,{labels[name]}" for name in COLOURS for i in range(1000, 1006)
    ]
    (graft.folder / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    report = graft("eval", "--weights", "ids.h5", "--data", "list.csv", "--json").json
    folders = graft("eval", "--weights", model, "--data", shapes, "--json").json
    assert report["images"] == 18 and report["top1"] == folders["top1"]


def train_on(graft, weights, data, *more):
    return graft(
        "train",
        "--weights",
        weights,
        "--data",
        data,
        "--epochs",
        1,
        "--batch",
        8,
        "--out",
        "again",
        "--lr",
        1e-9,
        *more,
    )


def test_head_is_kept_when_the_classes_agree(graft, model, shapes):
    result = train_on(graft, model, shapes, "--json")
    assert "new head" not in result.err and result.json["val_accuracy"] >= 0.9


def test_head_is_kept_when_the_classes_agree_in_another_order(graft, model, shapes, tmp_path):
    """A model whose classes are not in the order of the folders keeps its order and its head."""
    graft("convert", model, "m.safetensors")
    tensors = read_safetensors(tmp_path / "m.safetensors")
    from conftest import write_safetensors

    for name in ("fc.weight", "fc.bias"):
        tensors[name] = tensors[name][::-1].copy()
    write_safetensors(tmp_path / "turned.safetensors", tensors)
    (tmp_path / "classes").write_text("red\ngreen\nblue\n")
    graft("convert", "turned.safetensors", "turned.h5", "--classes", "classes")
    result = train_on(graft, "turned.h5", shapes, "--json")
    assert "new head" not in result.err and result.json["val_accuracy"] >= 0.9
    assert graft("inspect", "again/model.h5", "--json").json["classes"] == ["red", "green", "blue"]
    report = graft(
        "predict", "--weights", "again/model.h5", shapes / "val/red/1000.png", "--json"
    ).json
    assert report[0]["classes"][0]["name"] == "red"


def test_head_is_kept_when_the_folders_are_ids(graft, model, shapes, tmp_path):
    (tmp_path / "ids").write_text(
        json.dumps({str(i): [f"w{9 - i}", n] for i, n in enumerate(COLOURS)})
    )
    graft("convert", model, "ids.h5", "--classes", "ids")
    data = make_data(
        tmp_path / "byid", 3, 3, {f"w{9 - i}": c for i, c in enumerate(COLOURS.values())}
    )
    result = train_on(graft, "ids.h5", data, "--json")
    assert "new head" not in result.err and result.json["val_accuracy"] >= 0.8


def test_head_is_new_when_the_count_differs(graft, model, tmp_path):
    make_data(tmp_path / "two", 4, 2, {"blue": COLOURS["blue"], "red": COLOURS["red"]})
    result = train_on(graft, model, "two")
    assert "3 -> 2 classes" in result.err
    assert graft("inspect", "again/model.h5", "--json").json["classes"] == ["blue", "red"]


def test_head_is_new_when_the_names_differ(graft, model, tmp_path):
    make_data(tmp_path / "other", 4, 2, dict(zip(("sky", "tree", "brick"), COLOURS.values())))
    assert "new head" in train_on(graft, model, "other").err
    assert graft("inspect", "again/model.h5", "--json").json["classes"] == ["brick", "sky", "tree"]


def test_numbers_as_class_names_stay_names(graft, tmp_path):
    """Folders 1, 2, 10 sort as text; what is learnt for "10" is predicted as "10"."""
    data = make_data(tmp_path / "numbers", 12, 4, dict(zip(("1", "2", "10"), COLOURS.values())))
    result = graft(
        "train",
        *SMALL,
        "--data",
        data,
        "--freeze",
        "none",
        "--epochs",
        6,
        "--batch",
        8,
        "--lr",
        0.02,
        "--out",
        "run",
        "--json",
    )
    assert "numbers" in result.err, "no warning"
    assert result.json["classes"] == ["1", "10", "2"] and result.json["val_accuracy"] >= 0.9
    report = graft("eval", "--weights", "run/model.h5", "--data", data, "--json").json
    assert report["top1"] == result.json["val_accuracy"]
    entry = graft("predict", "--weights", "run/model.h5", data / "val/10/1001.png", "--json").json[
        0
    ]
    assert entry["classes"][0]["name"] == "10"


def test_val_split_is_stable(graft, shapes):
    counts = set()
    for data in (shapes / "train", shapes / "train"):
        err = graft(
            "train", *SMALL, "--data", data, "--val-split", 0.3, "--epochs", 1, "--out", "r"
        ).err
        counts.add(next(line for line in err.splitlines() if "to validate" in line))
    assert len(counts) == 1
