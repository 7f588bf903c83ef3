#!/usr/bin/env python3
"""From process start to a trained head: graft against plain PyTorch, the two taken in turn.

  python3 bench/transfer_race.py --graft build/graft --model squeezenet1_1 \\
      --weights squeezenet1_1.safetensors --data photos --regime head --epochs 10 --seeds 0 1 2

Run it with a python3 that imports torch and torchvision. The peer (--peer, started by the race as a
process of its own) is written as a user would: ImageFolder, DataLoader with 2 workers,
RandomResizedCrop and flip (--no-augment: as for validation), Resize + CenterCrop for validation, SGD
with momentum 0.9, a new output layer, channels_last. Regimes: head, last (the last stage too), all.
--until ends a ResNet after that stage on both sides. resnet50_v1 is Keras's: graft reads a model file
with its preprocessing, the peer the .safetensors beside it (graft convert makes both). Prints one
JSON line per run and a summary: wall seconds from process start, best and last validation accuracy,
peak memory (of the peer: its main process alone, workers come on top).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

STAGES = ["layer1", "layer2", "layer3", "layer4"]
LAST = {"squeezenet1_1": "features.11", "resnet18": "layer4", "resnet50": "layer4", "resnet50_v1": "layer4"}
HEAD = {"squeezenet1_1": "classifier.1", "resnet18": "fc", "resnet50": "fc", "resnet50_v1": "fc"}


def last_stage(a):
    return a.until or LAST[a.model]


def read_safetensors(path):
    import torch
    types = {"F32": torch.float32, "I64": torch.int64}
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(size))
        data = bytearray(f.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=types[entry["dtype"]]) if end > begin else torch.empty(0)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


def learns(name, model, regime, last):
    head = HEAD[model]
    if regime == "all" or name.startswith(head + "."):
        return True
    if regime == "head":
        return False
    if model.startswith("resnet"):
        return name.startswith(last + ".")
    return name.startswith("features.") and int(name.split(".")[1]) >= int(last.split(".")[1])


def end_after(net, stage):
    """A ResNet without the stages after this one; -> channels of what is left."""
    import torch
    for later in STAGES[STAGES.index(stage) + 1:]:
        setattr(net, later, torch.nn.Identity())
    last = list(getattr(net, stage)[-1].children())
    return [m for m in last if isinstance(m, torch.nn.BatchNorm2d)][-1].num_features


def as_keras_built(net):
    """torchvision's ResNet-50 (v1.5) -> Keras's: stride on a block's first 1x1, convolutions with biases."""
    import torch
    for m in list(net.modules()):
        if hasattr(m, "conv3"):
            m.conv1.stride, m.conv2.stride = m.conv2.stride, m.conv1.stride
        if isinstance(m, torch.nn.Conv2d):
            m.bias = torch.nn.Parameter(torch.zeros(m.out_channels))
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eps = 1.001e-5
    return net


def normalisation(keras):
    """Of RGB in 0 to 1: ImageNet's mean and deviation, or (Keras's "caffe" mode) BGR in 0 to 255 without its mean."""
    import torch
    from torchvision import transforms
    if not keras:
        return transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    mean = torch.tensor([103.939, 116.779, 123.68]).reshape(3, 1, 1)
    return transforms.Lambda(lambda image: image.flip(0) * 255 - mean)


def peer(a):
    import resource
    import torch
    import torchvision
    from torchvision import transforms
    from torchvision.datasets import ImageFolder
    torch.manual_seed(a.seeds[0])
    torch.set_num_threads(2)
    keras = a.model.endswith("_v1")
    norm = normalisation(keras)
    plain = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), norm])
    augment = transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(),
                                  transforms.ToTensor(), norm])
    train = ImageFolder(os.path.join(a.data, "train"), plain if a.no_augment else augment)
    val = ImageFolder(os.path.join(a.data, "val"), plain)
    net = getattr(torchvision.models, a.model.removesuffix("_v1"))(weights=None)
    if keras:
        as_keras_built(net)
    weights = read_safetensors(os.path.splitext(a.weights)[0] + ".safetensors")
    net.load_state_dict({name: t for name, t in weights.items() if not name.startswith("fc.")} if a.partial else weights,
                        strict=not a.partial)
    if a.model.startswith("resnet"):
        width = end_after(net, a.until) if a.until else net.fc.in_features
        net.fc = torch.nn.Linear(width, len(train.classes))
    else:
        net.classifier[1] = torch.nn.Conv2d(512, len(train.classes), 1)
    net = net.to(memory_format=torch.channels_last)
    for name, p in net.named_parameters():
        p.requires_grad = learns(name, a.model, a.regime, last_stage(a))
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=a.lr, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    train_loader = torch.utils.data.DataLoader(train, a.batch, shuffle=True, num_workers=2)
    val_loader = torch.utils.data.DataLoader(val, a.batch, num_workers=2)
    accuracy = []
    for _ in range(a.epochs):
        net.train()
        for m in net.modules():
            if isinstance(m, torch.nn.BatchNorm2d) and not m.weight.requires_grad:
                m.eval()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss_of(net(x.to(memory_format=torch.channels_last)), y).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in val_loader)
        accuracy.append(right / len(val))
    use, kids = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"val": accuracy, "peak_rss_mb": use.ru_maxrss // 1024,
                      "worker_rss_mb": kids.ru_maxrss // 1024, "torch": torch.__version__}))


def run_peer(a, seed):
    command = [sys.executable, __file__, "--peer", "--seeds", str(seed)]
    for key in ("model", "weights", "data", "regime", "epochs", "batch", "lr"):
        command += [f"--{key}", str(getattr(a, key))]
    begin = time.perf_counter()
    command += ["--until", a.until] * bool(a.until) + ["--no-augment"] * a.no_augment + ["--partial"] * a.partial
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"seconds": time.perf_counter() - begin, **json.loads(out.splitlines()[-1])}


def run_graft(a, seed):
    freeze = {"head": "trunk", "last": "until:" + last_stage(a), "all": "none"}[a.regime]
    with tempfile.TemporaryDirectory() as out:
        command = [a.graft, "train", "--model", a.model, "--weights", a.weights, "--data", a.data, "--freeze",
                   freeze, "--epochs", str(a.epochs), "--batch", str(a.batch), "--lr", str(a.lr),
                   "--seed", str(seed), "--out", out, "--json"] + ["--partial"] * a.partial
        command += ["--until", a.until] * bool(a.until) + ["--augment", "none"] * a.no_augment
        begin = time.perf_counter()
        text = subprocess.run(command + a.extra, check=True, capture_output=True, text=True).stdout
        seconds = time.perf_counter() - begin
    report = json.loads(text)
    return {"seconds": seconds, "val": [e["val_accuracy"] for e in report["epochs"]],
            "peak_rss_mb": report["peak_rss_mb"]}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--graft", default="build/graft")
    p.add_argument("--model", choices=sorted(HEAD), default="squeezenet1_1")
    p.add_argument("--weights", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--regime", choices=["head", "last", "all"], default="head")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    p.add_argument("--until", choices=STAGES[:-1], default="")
    p.add_argument("--no-augment", action="store_true")
    p.add_argument("--partial", action="store_true", help="the weights lack tensors")
    p.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="more options for graft train")
    a = p.parse_args()
    if a.peer:
        return peer(a)
    runs = {"graft": [], "torch": []}
    for seed in a.seeds:
        for side, run in (("graft", run_graft), ("torch", run_peer)):
            runs[side].append(run(a, seed))
            print(json.dumps({"side": side, "seed": seed, **runs[side][-1]}), flush=True)
    summary = {"model": a.model, "data": os.path.basename(os.path.normpath(a.data)), "regime": a.regime, "until": a.until,
               "epochs": a.epochs, "seeds": a.seeds}
    for side, results in runs.items():
        summary[side] = {"median_s": round(statistics.median(r["seconds"] for r in results), 2),
                         "last_accuracy": [round(r["val"][-1], 4) for r in results],
                         "peak_rss_mb": max(r["peak_rss_mb"] for r in results)}
    summary["times_faster"] = round(summary["torch"]["median_s"] / summary["graft"]["median_s"], 2)
    summary["memory"] = round(summary["graft"]["peak_rss_mb"] / summary["torch"]["peak_rss_mb"], 2)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
