"""Weights that timm saved: the same network, the same logits.

GRAFT_PEER_PYTHON is a Python that has timm; without it, Debian's is tried.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "timm_check.py"
SAVE = """
import timm, torch
net = timm.create_model("mobilenetv2_100", num_classes=4)
torch.save({"state_dict": net.state_dict(), "arch": "mobilenetv2_100"}, "m.pth")
"""


@pytest.fixture(scope="module")
def python():
    path = os.environ.get("GRAFT_PEER_PYTHON", "/usr/bin/python3")
    for module in ("timm", "h5py"):
        if subprocess.run([path, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode:
            pytest.skip(f"{path} has no {module}: GRAFT_PEER_PYTHON names another Python")
    return path


def test_logits_are_timms(binary, python):
    result = subprocess.run([python, SCRIPT], env={**os.environ, "GRAFT": str(binary)},
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    print(result.stdout, file=sys.stderr)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("differs by") >= 10 and result.stdout.count("refused") >= 2


def test_the_mapping_is_told_and_stored(graft, python):
    subprocess.run([python, "-c", SAVE], cwd=graft.folder, check=True)
    result = graft("convert", "m.pth", "m.h5", "--json")
    assert result.json["architecture"] == "mobilenet_v2" and result.json["classes"] == 4
    mapping = {m["source"]: m for m in result.json["mapping"]}
    assert mapping["blocks.1.0.conv_pwl.weight"] == {
        "source": "blocks.1.0.conv_pwl.weight",
        "target": "features.2.conv.2.weight",
        "transform": "kept",
    }
    assert "blocks.1.0.conv_pwl.weight" in result.err and "timm's names" in result.err
    again = graft("convert", "m.h5", "again.h5", "--json").json["mapping"]
    assert again == result.json["mapping"]
    message = graft("convert", "m.pth", "no.h5", "--model", "resnet50", code=65).message
    assert "resnet50 is none of them" in message
