"""Tests of the program as its users meet it: a process with arguments, files, streams and signals.

    GRAFT=build/graft GRAFT_TEST_DATA=... pytest tests/cli [--slow]

GRAFT is the program. GRAFT_TEST_DATA is a folder with real weights and photographs; without it the
tests that need them are skipped.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LIMIT = (
    300  # seconds; far more than anything takes, so that a hang is found and a slow machine is not
)
# One thread: several on a loaded machine mostly wait for each other, and the bits are the same.
SMALL = ["--model", "resnet10_small", "--weights", "none", "--threads", 1]


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run what takes many minutes")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many minutes; runs with --slow only")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes many minutes; give --slow"))


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code = args, code
        self.out, self.err = out, err

    @property
    def json(self):
        return json.loads(self.out)  # fails unless it is exactly one document

    @property
    def message(self):
        """The line that says why the program failed."""
        lines = [line for line in self.err.splitlines() if line.startswith("graft: ")]
        assert lines, f"no line begins with 'graft: ' in\n{self.err}"
        return lines[-1]


class Program:
    """Runs graft in a folder of its own."""

    def __init__(self, path, folder):
        self.path, self.folder = str(path), folder

    def command(self, args):
        return [self.path, *[str(a) for a in args]]

    def start(self, *args, **options):
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": self.folder,
            **options,
        }
        return subprocess.Popen(self.command(args), **options)

    def finish(self, process, args=(), code=0):
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"hangs: {args}\n{err.decode(errors='replace')}")
        result = Result(
            args,
            process.returncode,
            (out or b"").decode("utf-8", "surrogateescape"),
            (err or b"").decode("utf-8", "replace"),
        )
        self.check(result, code)
        return result

    def __call__(self, *args, code=0, **options):
        return self.finish(self.start(*args, **options), args, code)

    @staticmethod
    def check(result, code):
        shown = (
            f"graft {' '.join(map(str, result.args))}\n{result.out[-2000:]}\n{result.err[-4000:]}"
        )
        if code is not None:
            assert result.code == code, f"exit code {result.code}, not {code}: {shown}"
        for trace in (
            "terminate called",
            "what():",
            "Segmentation",
            "Aborted",
            "HDF5-DIAG",
            "Sanitizer",
        ):
            assert trace not in result.err, shown
        if result.code in (64, 65, 66, 69, 70, 71, 73, 74, 75, 77) and result.err:
            assert result.message, shown

    def stop_when(self, process, reached, number):
        """Sends a signal as soon as `reached()`; -> False when the program had ended before."""
        end = time.time() + LIMIT
        while not reached():
            if process.poll() is not None:
                return False
            assert time.time() < end, "never got there"
            time.sleep(0.005)
        process.send_signal(number)
        return True


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("GRAFT")
    if not path:
        pytest.skip("GRAFT names no program")
    assert Path(path).is_file(), f"GRAFT={path} is no file"
    return Path(path).resolve()


@pytest.fixture
def graft(binary, tmp_path):
    return Program(binary, tmp_path)


@pytest.fixture(scope="session")
def real_data():
    path = os.environ.get("GRAFT_TEST_DATA")
    if not path or not Path(path).is_dir():
        pytest.skip("GRAFT_TEST_DATA names no folder with real weights and photographs")
    return Path(path)


# ---- images -----------------------------------------------------------------------------------

COLOURS = {"blue": (60, 80, 190), "green": (60, 180, 70), "red": (190, 70, 60)}


def picture(colour, number, size=(40, 36), noise=60):
    """One colour under noise of its own: a small network tells them apart after some steps."""
    random = np.random.default_rng([number, *colour])
    pixels = np.array(colour) + random.normal(0, noise, (size[1], size[0], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def make_images(folder, count, names=None, first=0):
    """`count` images in a folder for each of the names (name -> colour)."""
    for name, colour in (names or COLOURS).items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + count):
            picture(colour, i).save(folder / name / f"{i:03}.png")
    return folder


def make_data(folder, train=12, val=6, names=None):
    make_images(folder / "train", train, names)
    make_images(folder / "val", val, names, first=1000)
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """Three classes, 36 images to train and 18 to validate. Not to be changed."""
    return make_data(tmp_path_factory.mktemp("data") / "colours")


@pytest.fixture(scope="session")
def trained(binary, shapes, tmp_path_factory):
    """A run of a small network that has learnt the three classes: its folder and its report."""
    folder = tmp_path_factory.mktemp("trained")
    result = Program(binary, folder)(
        "train",
        *SMALL,
        "--data",
        shapes,
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
    return folder / "run", result


@pytest.fixture
def model(trained):
    return trained[0] / "model.h5"


@pytest.fixture
def own_data(shapes, tmp_path):
    """A copy of the three classes to be spoilt."""
    return Path(shutil.copytree(shapes, tmp_path / "colours"))


# ---- what is in files -------------------------------------------------------------------------


def read_safetensors(path):
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    kinds = {
        "F32": np.float32,
        "I64": np.int64,
        "I32": np.int32,
        "F16": np.float16,
        "F64": np.float64,
    }
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(raw[8 + size + begin : 8 + size + end], kinds[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    kinds = {"float32": "F32", "int64": "I64", "float16": "F16", "float64": "F64"}
    header, blob = {}, b""
    for name, values in sorted(tensors.items()):
        values = np.asarray(values)
        raw = values.tobytes()
        header[name] = {
            "dtype": kinds[str(values.dtype)],
            "shape": list(values.shape),
            "data_offsets": [len(blob), len(blob) + len(raw)],
        }
        blob += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + blob)


def read_hdf5(path):
    """Every data set of an HDF5 file by its path."""
    h5py = pytest.importorskip("h5py")
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        for group in ("integers", "numbers"):
            if group in file:
                found.update({f"{group}.{k}": np.asarray(v) for k, v in file[group].attrs.items()})
    return found


@pytest.fixture(scope="session")
def start_weights(binary, tmp_path_factory):
    """A small network of 10 unnamed classes with random weights, as safetensors; its tensors."""
    folder = tmp_path_factory.mktemp("weights")
    make_images(folder / "data" / "train", 2, {"a": (0, 0, 0), "b": (255, 255, 255)})
    make_images(folder / "data" / "val", 1, {"a": (0, 0, 0), "b": (255, 255, 255)}, first=50)
    graft = Program(binary, folder)
    graft(
        "train",
        *SMALL,
        "--data",
        "data",
        "--epochs",
        1,
        "--batch",
        4,
        "--lr",
        1e-12,
        "--freeze",
        "none",
        "--out",
        "run",
        "--seed",
        7,
    )
    graft("convert", "run/model.h5", "two.safetensors")
    tensors = read_safetensors(folder / "two.safetensors")
    random = np.random.default_rng(0)
    for name, values in tensors.items():  # statistics and norms as a real network has them
        if "running_mean" in name or ("bn" in name and name.endswith("bias")):
            tensors[name] = random.normal(0, 0.1, values.shape).astype(np.float32)
        if "running_var" in name or ("bn" in name and name.endswith("weight")):
            tensors[name] = random.uniform(0.5, 1.5, values.shape).astype(np.float32)
    tensors["fc.weight"] = random.normal(0, 0.1, (10, 128)).astype(np.float32)
    tensors["fc.bias"] = random.normal(0, 0.1, 10).astype(np.float32)
    write_safetensors(folder / "start.safetensors", tensors)
    return folder / "start.safetensors", tensors


def write_unteachable(path, tensors):
    """Those of start_weights, changed so that the head can be learnt, for its loss is finite; but once the
    network learns, the gradient of layer4.0.conv2, which is 0 between huge numbers, is not."""
    tensors = {name: values.copy() for name, values in tensors.items()}
    tensors["layer4.0.conv2.weight"][:] = 0
    tensors["layer4.0.bn1.bias"][:] = 1e6
    tensors["layer4.0.bn2.weight"][:] = 3e38
    tensors["layer4.0.bn2.running_mean"][:] = 0
    tensors["layer4.0.bn2.running_var"][:] = 1
    write_safetensors(path, tensors)
    return path


def losses(report):
    """What a run computed, without what the clock said."""
    return [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in report["epochs"]]
