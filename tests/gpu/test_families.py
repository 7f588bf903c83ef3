"""bench/gpu_families.txt against the tests that the sources have: no test is without a family, none has two,
and every filter finds something."""

import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import gpu_table  # noqa: E402

SOURCES = sorted([*ROOT.glob("tests/cuda_*"), ROOT / "tests/vendor_test.cpp"])
FAMILIES = gpu_table.families()
FILTERS = [(family.name, pattern) for family in FAMILIES for part in (family.tests, family.small)
           if part != "-" for pattern in part.split(":")]


def names_of_tests():
    """As GoogleTest names them; where a parameter has a name, with every quoted word of the sources."""
    texts = [path.read_text() for path in SOURCES]
    whole = "\n".join(texts)
    lists = re.findall(r"using (\w+) =\s*testing::Types<([^>]*)>", whole)
    types = {name: len(kinds.split(",")) for name, kinds in lists}
    words = set(re.findall(r'"(\w+)"', whole))
    for text in texts:
        suites = dict(re.findall(r"TYPED_TEST_SUITE\((\w+), (\w+)\)", text))
        prefixes = {suite: prefix for prefix, suite in re.findall(r"INSTANTIATE_TEST_SUITE_P\((\w+),\s*(\w+),", text)}
        for kind, suite, name in re.findall(r"^(TEST|TEST_F|TYPED_TEST|TEST_P)\((\w+), (\w+)\)", text, re.M):
            if kind == "TYPED_TEST":
                yield from (f"{suite}/{i}.{name}" for i in range(types[suites[suite]]))
            elif kind == "TEST_P":
                yield from (f"{prefixes[suite]}/{suite}.{name}/{word}" for word in words)
            else:
                yield f"{suite}.{name}"


TESTS = sorted(names_of_tests())


def families_of(test):
    return [f.name for f in FAMILIES if any(fnmatchcase(test, pattern) for pattern in f.tests.split(":"))]


def test_the_sources_are_understood():
    for name in ("Ptx.Ldmatrix", "CudaPool/2.Max", "Cuda/Conv.Depthwise/bf16", "CudaGemm/Wgmma.LastStep/f16"):
        assert name in TESTS


def test_every_test_has_one_family():
    assert [(test, families_of(test)) for test in TESTS if len(families_of(test)) != 1] == []


@pytest.mark.parametrize("family, pattern", FILTERS)
def test_every_filter_finds_a_test(family, pattern):
    found = [test for test in TESTS if fnmatchcase(test, pattern)]
    assert found, f"{family}: no test is called {pattern}"
    assert {name for test in found for name in families_of(test)} == {family}


def test_the_instructions_come_first():
    assert FAMILIES[0].name == "ptx"
    assert FAMILIES[0].small == FAMILIES[0].tests


def test_results_have_a_row_for_each_family():
    section = (ROOT / "bench/RESULTS.md").read_text().split("## CUDA kernels")[1]
    rows = [line for line in section.splitlines() if re.match(r"\| `\w+`: ", line)]
    assert [re.match(r"\| `(\w+)`", row)[1] for row in rows] == [f.name for f in FAMILIES] + ["engine"]
    for row in rows:  # exactly what gpu_table.py can write there
        assert re.search(r"\| (not yet run on a GPU|.+, commit \w+.*: \d+ passed.*) \|$", row), row
