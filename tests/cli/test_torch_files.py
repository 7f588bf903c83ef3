"""Weights that torch.save wrote, in each of its forms, against the same tensors as .safetensors."""

import argparse
import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from conftest import read_safetensors, write_safetensors

torch = pytest.importorskip("torch", reason="PyTorch writes the files")

MB = 1 << 20


def save(state, path, form):
    torch.save(state, path, _use_new_zipfile_serialization=form == "zip")


def converted(graft, path, *more):
    """The tensors of a file of weights after `graft convert`."""
    graft("convert", path, "converted.safetensors", *more)
    return read_safetensors(graft.folder / "converted.safetensors")


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].shape == b[name].shape, name
        assert a[name].tobytes() == b[name].tobytes(), name


def tensors_of(arrays):
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


@pytest.fixture
def small(graft, start_weights):
    """The state dict of a small network, and what its .safetensors converts to."""
    return tensors_of(start_weights[1]), converted(graft, start_weights[0])


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_small_network(graft, small, form):
    state, expected = small
    save(state, graft.folder / "w.pth", form)
    assert_same(converted(graft, "w.pth"), expected)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_squeezenet(graft, form):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(1)
    state = models.squeezenet1_1().state_dict()
    write_safetensors(graft.folder / "s.safetensors", {n: t.numpy() for n, t in state.items()})
    save(state, graft.folder / "s.pth", form)
    expected = converted(graft, "s.safetensors")
    assert len(expected) == 52
    assert_same(converted(graft, "s.pth"), expected)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_parallel_half_strided_checkpoint(graft, small, form):
    """What a training script leaves: prefixes, an optimizer, arguments, channels-last filters."""
    state, expected = small
    state = {
        "module." + name: t.to(memory_format=torch.channels_last) if t.dim() == 4 else t
        for name, t in state.items()
        if not name.endswith("num_batches_tracked")
    }
    assert any(not t.is_contiguous() for t in state.values())
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 7,
        "best_prec1": np.float64(0.5),
        "state_dict": state,
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.1),
    }
    save(checkpoint, graft.folder / "c.pth.tar", form)
    result = graft("convert", "c.pth.tar", "converted.safetensors", "--json")
    tensors = read_safetensors(graft.folder / "converted.safetensors")
    for name in expected:
        if name.endswith("num_batches_tracked"):  # those that are missing are zero
            assert tensors.pop(name) == 0
    assert_same(tensors, {n: t for n, t in expected.items() if n in tensors})
    assert len(tensors) == len(state)
    mapping = {m["target"]: m["source"] for m in result.json["mapping"]}
    assert mapping["fc.bias"] == "module.fc.bias"
    skipped = " ".join(result.json["skipped"])
    for word in ("epoch", "best_prec1", "optimizer", "args (an object of argparse.Namespace)"):
        assert word in skipped and word in result.err
    assert skipped == " ".join(graft("inspect", "c.pth.tar", "--json").json["skipped"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_protocols(graft, small, form, protocol):
    state, expected = small
    torch.save(
        state,
        graft.folder / "w.pth",
        _use_new_zipfile_serialization=form == "zip",
        pickle_protocol=protocol,
    )
    assert_same(converted(graft, "w.pth"), expected)


def write_tar(path, state):
    """The form of PyTorch before 0.1.10, which torch.load still reads."""
    kinds = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage}
    storages, tensors = io.BytesIO(), io.BytesIO()
    pickle.dump(len(state), storages, 2)
    pickle.dump(len(state), tensors, 2)
    for key, t in enumerate(state.values()):
        pickle.dump((key, "cpu", kinds[t.dtype]), storages, 2)
        storages.write(struct.pack("<q", t.numel()) + t.numpy().tobytes())
        pickle.dump((1000 + key, key, type(t)), tensors, 2)
        layout = [*t.shape, *t.stride(), t.storage_offset()]
        tensors.write(struct.pack(f"<iI{len(layout)}q", t.dim(), 0, *layout))
    pickle.dump([], storages, 2)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return str(1000 + value.key) if isinstance(value, Key) else None

    class Key:
        def __init__(self, key):
            self.key = key

    named = io.BytesIO()
    Pickler(named, 2).dump({name: Key(i) for i, name in enumerate(state)})
    parts = {"sys_info": pickle.dumps({}, 2), "pickle": named.getvalue()}
    parts |= {"storages": storages.getvalue(), "tensors": tensors.getvalue()}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_tar(graft, small):
    state, expected = small
    path = graft.folder / "old.pth"
    write_tar(path, state)
    if torch.__version__ < "2":  # later ones want weights_only=False
        assert all(torch.equal(t, state[n]) for n, t in torch.load(path).items())
    assert_same(converted(graft, path), expected)


def test_every_command_takes_them(graft, small, shapes):
    save(small[0], graft.folder / "w.pth", "zip")
    listed = graft("inspect", "w.pth", "--json").json
    assert listed["architecture"] == "resnet10_small"
    assert {t["name"] for t in listed["tensors"]} == set(small[1])
    train = ["train", "--weights", "w.pth", "--data", shapes, "--epochs", 1, "--threads", 1]
    graft(*train, "--out", "run")
    graft("convert", "w.pth", "w.h5")
    assert graft("inspect", "w.h5", "--json").json["golden"]
    image = next((shapes / "val").rglob("*.png"))
    graft("predict", "--weights", "w.pth", image)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_nothing_is_run(graft, small, form):
    canary = graft.folder / "canary"
    evil = Evil(canary)
    for state in (evil, {**small[0], "evil": evil}, {"state_dict": {**small[0], "evil": evil}}):
        save(state, graft.folder / "evil.pth", form)
        for command in (["convert", "evil.pth", "out.h5"], ["inspect", "evil.pth"]):
            result = graft(*command, code=65)
            assert "evil.pth" in result.message and "posix.system" in result.message
            assert len(result.err.splitlines()) == 1
    save({"state_dict": small[0], "beside": evil}, graft.folder / "evil.pth", form)
    assert_same(converted(graft, "evil.pth"), small[1])
    assert not canary.exists() and not (graft.folder / "out.h5").exists()


def test_whole_models_and_programs_are_told_what_to_do(graft):
    torch.save(torch.nn.Linear(2, 2), graft.folder / "model.pth")
    message = graft("convert", "model.pth", "out.h5", code=65).message
    assert "torch.nn.modules.linear.Linear" in message and "state_dict()" in message
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(graft.folder / "script.pt"))
    assert "TorchScript" in graft("convert", "script.pt", "out.h5", code=65).message


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_cut_files(graft, small, form):
    save(small[0], graft.folder / "w.pth", form)
    raw = (graft.folder / "w.pth").read_bytes()
    for part in (0.001, 0.1, 0.5, 0.9, 0.9999):
        (graft.folder / "cut.pth").write_bytes(raw[: int(len(raw) * part)])
        assert "cut.pth" in graft("convert", "cut.pth", "out.h5", code=65).message
    assert not (graft.folder / "out.h5").exists()


def peak_memory(graft, *args, code):
    """Bytes that the program had resident at most."""
    process = graft.start(*args)
    process.communicate(timeout=60)
    assert process.returncode == code
    with (graft.folder / "memory").open() as file:
        return int(file.read()) * 1024


@pytest.fixture
def measured(graft):
    """The program under GNU time, which writes its peak memory in KB to a file."""
    if not os.path.exists("/usr/bin/time"):
        pytest.skip("/usr/bin/time is not installed")
    plain = graft.command
    graft.command = lambda args: ["/usr/bin/time", "-q", "-f", "%M", "-o", "memory", *plain(args)]
    return graft


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_memory_of_large_files(measured, form):
    size = 128 * MB
    state = {"a": torch.zeros(size // 8), "b": torch.zeros(64, size // 512).t()}
    save(state, measured.folder / "large.pth", form)
    assert peak_memory(measured, "inspect", "large.pth", code=0) < 1.6 * size + 32 * MB


BOMBS = {
    "tuples": lambda: b"N" + b"\x85" * 599_990,
    "lists": lambda: b"]" * 10**7,
    "marks": lambda: b"(" * 10**7,
    "memo": lambda: b"".join(b"Nr" + struct.pack("<I", i) for i in range(10**6)),
    "text": lambda: b"X" + struct.pack("<I", 2**31),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_of_hostile_pickles(measured, bomb):
    with zipfile.ZipFile(measured.folder / "bomb.pth", "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02" + BOMBS[bomb]() + b".")
    idle = peak_memory(measured, "models", code=0)
    limit = idle + 2 * (measured.folder / "bomb.pth").stat().st_size + 56 * MB
    assert peak_memory(measured, "inspect", "bomb.pth", code=65) < limit


SQUEEZENET = "weights/squeezenet1_1/squeezenet1_1"


@pytest.mark.parametrize("name", [SQUEEZENET + ".pth", SQUEEZENET + "_legacy.pth"])
def test_real_squeezenet(graft, real_data, name):
    expected = converted(graft, real_data / (SQUEEZENET + ".safetensors"))
    assert_same(converted(graft, real_data / name), expected)


@pytest.mark.parametrize("depth, name", [(20, "resnet20-12fca82f"), (32, "resnet32-d509ac18")])
def test_real_checkpoints_of_old_times(graft, real_data, depth, name):
    path = real_data / f"weights/cifar/{name}.th"
    listed = graft("inspect", path, "--json").json
    shapes = {t["name"]: t["shape"] for t in listed["tensors"]}
    assert len(shapes) == 5 * depth - 3
    assert shapes["conv1.weight"] == [16, 3, 3, 3] and shapes["linear.weight"] == [10, 64]
    assert listed["skipped"] == ["best_prec1 (a number)"]
    state = torch.load(path, map_location="cpu")["state_dict"]
    assert set(shapes) == {n.removeprefix("module.") for n in state}
    message = graft("convert", path, "out.h5", "--model", "resnet18", code=65).message
    assert "linear.weight" in message or "missing" in message
