"""tests/models_page.py: what a run has not measured stays on the page."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "models_page.py"


@pytest.fixture
def page(binary, tmp_path):
    """Writes the page from reports {name of the test: properties}; -> {network: its line's cells}."""

    def report(name, cases):
        text = "".join(
            f'<testcase name="{test}"><properties>'
            + "".join(f'<property name="{k}" value="{v}"/>' for k, v in properties.items())
            + f'</properties>{"<failure/>" if failed else ""}</testcase>'
            for test, properties, failed in cases
        )
        (tmp_path / name).write_text(f"<testsuites>{text}</testsuites>")
        return tmp_path / name

    def write(usual, slow=()):
        reports = [report("usual.xml", usual), "--slow", report("slow.xml", slow)]
        subprocess.run([sys.executable, SCRIPT, binary, tmp_path / "page.md", *reports], check=True)
        lines = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
        return {row[0].strip("`"): row[1:] for row in rows}

    return write


def trained(regime, value, failed=False):
    properties = {"logits": "1.0e-06", "gradients": value, "steps": 2 * value}
    return f"AsPyTorch/resnet34__{regime}", properties, failed


EVAL = "AsPyTorch/resnet34__eval", {"logits": "2.0e-06"}, False
KERAS = "test_keras[x]", {"network": "resnet50_v1", "keras": "3.0e-06"}, False


def test_figures_stay_until_they_are_measured_anew(page):
    nothing = page([])
    assert nothing["resnet34"] == ["21,797,672", "–", "–", "–", "–", "–", ""]
    first = page([EVAL], [trained("head", 0.5), trained("all", 0.25), trained("last", 9, failed=True), KERAS])
    assert first["resnet34"] == ["21,797,672", "2e-06", "0.5°", "1°", "head, all", "–", ""]
    assert first["resnet50_v1"] == ["25,583,592", "–", "–", "–", "–", "–", "3e-06°"]
    assert page([]) == first
    assert page([trained("head", 0.1)])["resnet34"][2:5] == ["0.5°", "1°", "head, all"]
    again = page([trained(regime, 0.1) for regime in ("head", "last", "all")])
    assert again["resnet34"][1:5] == ["1e-06", "0.1", "0.2", "head, last, all"]
