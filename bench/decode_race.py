#!/usr/bin/env python3
"""decode_bench against PIL and torchvision, one thread each, in turn: decode_race.py DECODE_BENCH FOLDER

Each contender turns every image of FOLDER into normalised input (short side 256, centre crop 224),
--rounds times after one that does not count. Prints JSON: images per second, best and median.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
from PIL import Image, __version__ as pil_version

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
BILINEAR = getattr(Image, "Resampling", Image).BILINEAR


def pil_numpy(path):
    with Image.open(path) as opened:
        im = opened.convert("RGB")
    w, h = im.size
    size = (256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256)
    im = im.resize(size, BILINEAR)
    left, top = (int(round((side - 224) / 2.0)) for side in im.size)
    u8 = np.asarray(im.crop((left, top, left + 224, top + 224)))
    return (u8.astype(np.float32) / np.float32(255) - MEAN) / STD


def torchvision_transform():
    import torch
    from torchvision import transforms as t
    torch.set_num_threads(1)
    steps = t.Compose([t.Resize(256), t.CenterCrop(224), t.ToTensor(), t.Normalize(MEAN.tolist(), STD.tolist())])
    return lambda path: steps(Image.open(path).convert("RGB"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bench")
    p.add_argument("folder")
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    files = sorted(glob.glob(os.path.join(a.folder, "**", "*.*"), recursive=True))
    files = [f for f in files if f.lower().endswith((".jpg", ".jpeg", ".png", ".bmp"))]

    def timed(call):
        begin = time.perf_counter()
        for f in files:
            call(f)
        return len(files) / (time.perf_counter() - begin)

    def graft():
        return json.loads(subprocess.check_output([a.bench] + files))["images_per_second"]

    contenders = {"graft": graft, "pil " + pil_version: lambda: timed(pil_numpy)}
    try:
        transform = torchvision_transform()
        contenders["torchvision"] = lambda: timed(transform)
    except ImportError:
        pass
    speeds = {name: [] for name in contenders}
    for turn in range(a.rounds + 1):
        for name, run in contenders.items():
            speed = run()
            if turn:
                speeds[name].append(speed)
    result = {name: {"best": round(max(s), 1), "median": round(statistics.median(s), 1)} for name, s in speeds.items()}
    print(json.dumps({"images": len(files), "images_per_second": result}, indent=1))


if __name__ == "__main__":
    main()
