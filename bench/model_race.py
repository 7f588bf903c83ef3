#!/usr/bin/env python3
"""graft against PyTorch eager (channels_last) and against bare oneDNN convolutions, in turn.

  python3 bench/model_race.py --build build --model resnet50 --batch 32 --mode infer

Run it with a python3 that imports torch and torchvision. Each side does --warmup iterations, then
they take turns for --rounds; in mode infer-bf16, a frozen trunk with --trunk-precision bf16, PyTorch
twice, in f32 and in bf16. Prints one JSON line: medians, p10 and p90 of seconds per iteration,
images per second, peak memory; ratio (torch / graft, > 1: graft is faster) and, for inference of
resnet50 and vgg16, of_raw (raw / graft: the share of what its convolutions alone could reach).
--mode layer4 trains a ResNet's last stage and its head: what is below stays, its norms too.
With --device cuda both compute there in bf16, the peer's weights in f32 (autocast); no raw, and the
memory is the device's: the most that tensors held after the warm-up, in which cuDNN tries plans for the
peer and graft captures its step. graft begins with bytes, which it normalises; the peer with bf16 pixels.
"""
import argparse
import json
import resource
import statistics
import subprocess
import time

import torch
import torchvision


def peer(name, batch, mode, threads, dtype=torch.float32):
    torch.set_num_threads(threads)
    net = getattr(torchvision.models, name)(weights=None).to(dtype=dtype, memory_format=torch.channels_last)
    side = 224
    x = torch.randn(batch, 3, side, side).to(dtype=dtype, memory_format=torch.channels_last)
    y = torch.zeros(batch, dtype=torch.long)
    return iteration(net, x, y, name, mode)


def cuda_peer(name, batch, mode):
    """Eager, channels_last, bf16 by autocast."""
    torch.backends.cudnn.benchmark = True
    net = getattr(torchvision.models, name)(weights=None).cuda().to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, 224, 224, device="cuda", dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    run = iteration(net, x, torch.zeros(batch, dtype=torch.long, device="cuda"), name, mode, "cuda")

    def run_and_wait():
        run()
        torch.cuda.synchronize()
    return run_and_wait


def iteration(net, x, y, name, mode, device="cpu"):
    def forward():
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            return net(x)
    if mode.startswith("infer"):
        net.eval()

        def run():
            with torch.no_grad():
                forward()
        return run
    net.train()
    if mode != "train":
        freeze(net, learning_parts(net, name, mode))
    opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
    loss = torch.nn.CrossEntropyLoss()

    def run():
        opt.zero_grad()
        loss(forward(), y).backward()
        opt.step()
    return run


def learning_parts(net, name, mode):
    head = list(net.children())[-1]
    if mode == "layer4":
        return [net.layer4, head]
    return [head[-1] if isinstance(head, torch.nn.Sequential) and not name.startswith("squeeze") else head]


def freeze(net, learning):
    """All but the parts that learn: weights, and the statistics of norms."""
    for p in net.parameters():
        p.requires_grad = False
    for p in (p for part in learning for p in part.parameters()):
        p.requires_grad = True
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()


class Turns:
    """A program that does one iteration for every line it is given, and prints its seconds and peak memory."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline().strip() == "ready"

    def turn(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        seconds, rss = self.process.stdout.readline().split()
        return float(seconds), int(rss)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build", help="folder with model_bench and raw_conv")
    p.add_argument("--model", default="resnet50")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--mode", choices=["infer", "infer-bf16", "train", "layer4", "head"], default="infer")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--rounds", type=int, default=10)
    a = p.parse_args()
    on_cuda = a.device == "cuda"
    programs = {"graft": [f"{a.build}/model_bench", a.model, str(a.batch), a.mode, str(a.threads), a.device]}
    if a.mode.startswith("infer") and a.model in ("resnet50", "vgg16") and not on_cuda:
        programs["raw"] = [f"{a.build}/raw_conv", a.model, str(a.batch)]
    programs = {side: Turns(command) for side, command in programs.items()}
    peers = {"torch": cuda_peer(a.model, a.batch, a.mode) if on_cuda else
             peer(a.model, a.batch, a.mode, a.threads)}
    if a.mode == "infer-bf16" and not on_cuda:
        peers["torch_bf16"] = peer(a.model, a.batch, a.mode, a.threads, torch.bfloat16)
    times = {side: [] for side in [*programs, *peers]}
    rss = 0
    for i in range(a.warmup + a.rounds):
        afresh = i == a.warmup and on_cuda
        if afresh:
            torch.cuda.reset_peak_memory_stats()
        results = {side: program.turn("afresh" if afresh else "") for side, program in programs.items()}
        rss = results["graft"][1]
        for side, run in peers.items():
            begin = time.perf_counter()
            run()
            results[side] = (time.perf_counter() - begin, 0)
        if i >= a.warmup:
            for side, (seconds, _) in results.items():
                times[side].append(seconds)
    out = {"model": a.model, "batch": a.batch, "mode": a.mode, "device": a.device, "threads": a.threads,
           "rounds": a.rounds, "torch_version": torch.__version__}
    for side, values in times.items():
        values.sort()
        out[side] = {"median_s": round(statistics.median(values), 4),
                     "p10_s": round(values[len(values) // 10], 4),
                     "p90_s": round(values[-1 - len(values) // 10], 4),
                     "images_per_second": round(a.batch / statistics.median(values), 2)}
    memory = "peak_device_mb" if on_cuda else "peak_rss_mb"
    out["graft"][memory] = rss
    out["torch"][memory] = (torch.cuda.max_memory_allocated() >> 20 if on_cuda else
                            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    out["ratio"] = round(out["torch"]["median_s"] / out["graft"]["median_s"], 3)
    if "raw" in out:
        out["of_raw"] = round(out["raw"]["median_s"] / out["graft"]["median_s"], 3)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
