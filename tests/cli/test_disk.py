"""Where nothing can be written: full disks, folders closed or gone."""

import os
import shutil
import subprocess

import pytest
from conftest import SMALL, losses


def mounted(folder, options):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True
    ).returncode:
        pytest.skip("file systems cannot be mounted here")


def fill(path):
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(file, bytes(4096)):
            pass
    except OSError:
        pass
    os.close(file)


@pytest.fixture
def unmounted(tmp_path):
    yield
    subprocess.run(["umount", "-l", tmp_path / "disk"], capture_output=True)


def test_a_full_disk(graft, shapes, unmounted):
    """Room for some checkpoints, then none: training goes on, old ones stay, 74 at the end."""
    disk = graft.folder / "disk"
    mounted(disk, "size=9m")
    args = [
        "train",
        *SMALL,
        "--freeze",
        "none",
        "--data",
        shapes,
        "--batch",
        8,
        "--json",
        "--out",
        "disk/run",
    ]
    process = graft.start(*args, "--epochs", 12)
    begun = (disk / "run" / "checkpoint.previous.h5").exists
    assert graft.stop_when(process, begun, 0)
    fill(disk / "filler")
    result = graft.finish(process, args, 74)
    assert len(result.json["epochs"]) == 12
    assert "warning" in result.err and "No space left" in result.err
    graft("inspect", "disk/run/checkpoint.h5"), graft("inspect", "disk/run/model.h5")
    (disk / "filler").unlink()
    again = graft("train", "--resume", "--out", "disk/run", "--json").json
    assert losses(again) == losses(result.json)
    assert len((disk / "run" / "events.jsonl").read_text().splitlines()) == 12


def test_a_disk_that_is_full_from_the_start(graft, shapes, unmounted):
    mounted(graft.folder / "disk", "size=64k")
    message = graft(
        "train", *SMALL, "--data", shapes, "--epochs", 1, "--out", "disk/run", code=74
    ).message
    assert "disk/run" in message


def test_a_limit_on_file_size(graft, shapes):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'ulimit -f 100; exec "{graft.path}" train {" ".join(map(str, SMALL))} '
            f'--data "{shapes}" --epochs 2 --out run',
        ],
        cwd=graft.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 74 and "epoch   2/2" in done.stderr


def test_a_folder_that_cannot_be_written_is_found_before_training(graft, shapes, unmounted):
    mounted(graft.folder / "disk", "ro")
    args = ["train", *SMALL, "--data", shapes, "--out"]
    result = graft(*args, "disk/run", code=None)
    assert result.code in (73, 77) and "disk/run" in result.message and "epoch" not in result.err
    (graft.folder / "file").write_text("x")
    result = graft(*args, "file/run", code=73)
    assert "file/run" in result.message
    assert "file" in graft(*args, "file", code=73).message


def test_no_permission(graft, shapes):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    (graft.folder / "closed").mkdir(mode=0o555)
    message = graft("train", *SMALL, "--data", shapes, "--out", "closed/run", code=77).message
    assert "closed" in message


def test_a_folder_removed_while_training(graft, shapes):
    """It is made again, or the end says that the model could not be saved."""
    process = graft.start("train", *SMALL, "--data", shapes, "--epochs", 20, "--out", "run")
    assert graft.stop_when(process, (graft.folder / "run" / "checkpoint.h5").exists, 0)
    shutil.rmtree(graft.folder / "run", ignore_errors=True)
    result = graft.finish(process, ["train"], None)
    assert result.code in (0, 74), result.err
    if result.code == 0:
        assert (graft.folder / "run" / "checkpoint.h5").exists()
