#!/usr/bin/env python3
"""models/catalogue.json against the weight entries of the torchvision that is installed.

  tests/catalogue.py           entries that torchvision has too must be equal; CI runs this
  tests/catalogue.py --write   writes the catalogue anew, with a torchvision of 2024 or later

torchvision publishes the first eight or ten digits of a file's SHA-256 in its name.
"""
import json
import re
import sys
from pathlib import Path

import torchvision

CATALOGUE = Path(__file__).parent.parent / "models" / "catalogue.json"


# With weights, torchvision's builders of these turn ImageNet's mean and deviation into 0.5 and 0.5
# inside the network (transform_input).
CENTRED = ("googlenet", "inception_v3")


def entry(name, weights):
    t, meta = weights.transforms(), weights.meta
    accuracy = meta["_metrics"]["ImageNet-1K"] if "_metrics" in meta else meta["metrics"]
    sha256 = re.search(r"-([0-9a-f]{8,64})\.pth$", weights.url).group(1)
    return {
        "name": f"{name}.{weights.name.lower()}",
        "architecture": name,
        "url": weights.url,
        "sha256": sha256,
        "megabytes": meta.get("_file_size"),
        "resize": t.resize_size[0],
        "crop": t.crop_size[0],
        "interpolation": t.interpolation.value,
        "mean": [0.5] * 3 if name in CENTRED else t.mean,
        "std": [0.5] * 3 if name in CENTRED else t.std,
        "top1": accuracy.get("acc@1"),
        "top5": accuracy.get("acc@5"),
        "licence": "CC-BY-NC-4.0" if "SWAG" in meta.get("license", "") else "BSD-3-Clause",
    }


def entries():
    from torchvision.models import get_model_weights, list_models

    for name in list_models(module=torchvision.models):
        choices = get_model_weights(name)
        for weights in choices:
            if weights.name == "IMAGENET1K_FEATURES":  # VGG-16 without a classifier: it holds NaN
                continue
            yield entry(name, weights) | {"default": weights == choices.DEFAULT}


def write():
    CATALOGUE.write_text("[\n" + ",\n".join(json.dumps(row) for row in entries()) + "\n]\n")


def known():
    """Entries by URL, of a torchvision too old for get_model_weights as well."""
    for name in dir(torchvision.models):
        choices = getattr(torchvision.models, name)
        if not name.endswith("_Weights") or not isinstance(choices, type):
            continue
        for weights in choices:
            if weights.name != "IMAGENET1K_FEATURES":
                yield weights


def check():
    rows = {row["url"]: row for row in json.loads(CATALOGUE.read_text())}
    seen = 0
    for weights in known():
        row = rows.get(weights.url)
        if row is None:  # files that were published anew under another name
            continue
        theirs = entry(row["architecture"], weights)
        for key in set(theirs) - {"name", "architecture", "megabytes", "licence"}:
            if row[key] != theirs[key]:
                sys.exit(f"catalogue: {row['name']}: {key} is {row[key]}, torchvision's {theirs[key]}")
        seen += 1
    if seen < 50:
        sys.exit(f"catalogue: only {seen} entries of torchvision were found")
    print(f"catalogue: {seen} of {len(rows)} entries equal torchvision's {torchvision.__version__}")


if __name__ == "__main__":
    write() if "--write" in sys.argv[1:] else check()
