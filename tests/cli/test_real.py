"""A pretrained network and photographs: what is computed here against what PyTorch computed."""

import json

import pytest

WEIGHTS = "weights/squeezenet1_1/squeezenet1_1.safetensors"


@pytest.fixture(scope="module")
def squeezenet(binary, real_data, tmp_path_factory):
    from conftest import Program

    folder = tmp_path_factory.mktemp("squeezenet")
    graft = Program(binary, folder)
    report = graft(
        "convert",
        real_data / WEIGHTS,
        "squeezenet1_1.h5",
        "--classes",
        real_data / "imagenet_class_index.json",
        "--json",
    ).json
    assert report["architecture"] == "squeezenet1_1" and len(report["loaded"]) == 52
    return folder / "squeezenet1_1.h5"


def test_convert_and_inspect(graft, real_data, squeezenet):
    report = graft("inspect", squeezenet, "--json").json
    assert report["parameters"] == 1235496 and len(report["classes"]) == 1000
    index = json.loads((real_data / "imagenet_class_index.json").read_text())
    assert [[i, n] for i, n in zip(report["class_ids"], report["classes"])] == [
        index[str(i)] for i in range(1000)
    ]
    assert report["golden"]


def test_accuracy_on_imagenet(graft, real_data, squeezenet):
    report = graft(
        "eval",
        "--weights",
        squeezenet,
        "--data",
        real_data / "images/imagenet_500.csv",
        "--json",
        "--verify",
    ).json
    assert report["images"] == 500 and report["bad_images"] == 0
    assert abs(report["top1"] - 0.600) <= 0.004 and abs(report["top5"] - 0.820) <= 0.004
    print(f"imagenet_500: {report}")


def test_the_same_answers_as_pytorch(graft, real_data, squeezenet):
    """At least 99 % of 500 photographs; those that differ are nearly ties."""
    names = [
        name
        for _, name in json.loads((real_data / "imagenet_class_index.json").read_text()).values()
    ]
    reference = json.loads((real_data / "images/imagenet_500_squeezenet1_1.json").read_text())[
        "images"
    ]
    files = [real_data / "images/imagenet_500" / name for name in reference]
    report = graft("predict", "--weights", squeezenet, "--json", "--top", 1, *files).json
    same, margins = 0, []
    for entry, expected in zip(report, reference.values()):
        agrees = entry["classes"][0]["name"] == names[expected["top5"][0]]
        same += agrees
        if not agrees:
            margins.append(expected["margin"])
    print(
        f"imagenet_500: {same} of {len(reference)} argmaxes agree; margins of the others {margins}"
    )
    assert same >= 0.99 * len(reference)
    assert all(margin < 0.5 for margin in margins)


def transfer(graft, real_data, squeezenet, plan, epochs, seed=0, *more):
    result = graft(
        "train",
        "--weights",
        squeezenet,
        "--data",
        real_data / "images/hymenoptera",
        "--freeze",
        plan,
        "--epochs",
        epochs,
        "--seed",
        seed,
        "--lr",
        0.001,
        "--batch",
        32,
        "--out",
        f"run{seed}",
        "--json",
        *more,
    )
    report = result.json
    print(
        f"hymenoptera {plan} {epochs} epochs seed {seed}: "
        f"best {report['val_accuracy']:.4f} last {report['epochs'][-1]['val_accuracy']:.4f} "
        f"{report['images_per_second']:.1f} images/s {report['seconds']} {report['peak_rss_mb']} MB"
    )
    return result, report


@pytest.mark.parametrize(
    "plan, epochs, floor, trained",
    [("trunk", 4, 0.85, 1026), ("until:features.11", 2, 0.75, None), ("none", 2, 0.70, 723522)],
)
def test_transfer_to_ants_and_bees(graft, real_data, squeezenet, plan, epochs, floor, trained):
    result, report = transfer(graft, real_data, squeezenet, plan, epochs)
    assert "1000 -> 2 classes" in result.err and "left out: 1 extension .gif" in result.err
    assert report["val_accuracy"] >= floor
    assert report["epochs"][-1]["train_loss"] < report["epochs"][0]["train_loss"]
    if trained:
        assert report["trained_parameters"] == trained
    assert report["trained_parameters"] + report["frozen_parameters"] == 723522
    inspected = graft("inspect", "run0/model.h5", "--json").json
    assert inspected["classes"] == ["ants", "bees"]
    assert (inspected["frozen_tensors_proven"] > 0) == (plan != "none")
    ant = sorted((real_data / "images/hymenoptera/val/ants").iterdir())[0]
    assert (
        len(graft("predict", "--weights", "run0/model.h5", ant, "--json").json[0]["classes"]) == 2
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan, epochs, low, high", [("trunk", 10, 0.90, 0.94), ("none", 5, 0.85, 0.92)]
)
def test_the_bands_of_pytorch(graft, real_data, squeezenet, plan, epochs, low, high):
    """The mean of three seeds; a single image is 0.0065, a seed more or less 0.03."""
    last = [
        transfer(graft, real_data, squeezenet, plan, epochs, seed)[1]["epochs"][-1]["val_accuracy"]
        for seed in range(3)
    ]
    print(f"{plan}: {last}")
    assert low - 0.01 <= sum(last) / 3 <= high + 0.02


CIFAR = "airplane automobile bird cat deer dog frog horse ship truck".split()


@pytest.mark.parametrize("depth, file, accuracy", [(20, "12fca82f", 0.8135), (32, "d509ac18", 0.8380)])
def test_cifar_checkpoints_reach_what_pytorch_reaches(graft, real_data, depth, file, accuracy):
    (graft.folder / "names.txt").write_text("\n".join(CIFAR))
    weights = real_data / "weights" / "cifar" / f"resnet{depth}-{file}.th"
    about = graft("convert", weights, "c.h5", "--classes", "names.txt", "--json").json
    assert about["architecture"] == f"resnet{depth}"
    report = graft(
        "eval", "--weights", "c.h5", "--data", real_data / "images" / "cifar10_small" / "val", "--json"
    ).json
    assert report["top1"] == pytest.approx(accuracy, abs=0.0011)  # 2 of 2000 photographs
