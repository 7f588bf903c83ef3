"""What PyTorch, eager, needs on this GPU for what cuda_bench does besides single products and convolutions:
batch norm with ReLU in training, heads with their loss, and fused optimisers. Prints one line of JSON in the
form of Google Benchmark, names ending in /pytorch."""
import itertools
import json
import statistics

import torch

MAPS = [(56, 64), (56, 256), (28, 512), (14, 1024), (7, 2048)]
BATCH, ROUNDS = 256, 15
L2 = 60e6  # bytes, as in bench/cuda/timed.cpp


def microseconds(work):
    """Median over rounds of ten runs between two events."""
    for _ in range(5):
        work()
    times = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(10):
            work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 100)
    return statistics.median(times)


def norms():
    for side, channels in MAPS:
        for residual in (False, True):
            shape = (BATCH, channels, side, side)
            x, other, dy = (
                torch.randn(shape, device="cuda", dtype=torch.bfloat16).to(memory_format=torch.channels_last)
                for _ in range(3)
            )
            norm = torch.nn.BatchNorm2d(channels).cuda().train()
            x.requires_grad_(), other.requires_grad_(residual)
            inputs = [x, norm.weight, norm.bias] + ([other] if residual else [])

            def forward():
                y = norm(x)
                return torch.relu(y + other if residual else y)

            y = forward()
            name = f"B1/batch_norm_relu_{'add_' if residual else ''}{side}x{channels}_"
            yield name + "forward/bf16/pytorch", microseconds(forward)
            yield name + "backward/bf16/pytorch", microseconds(
                lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)
            )


def head_with_loss(rows, classes, width):
    """-> the logits of one head, its cross-entropy and its gradient, as autocast does them"""
    x, w = (torch.randn(n, width, device="cuda", dtype=torch.bfloat16) for n in (rows, classes))
    bias = torch.randn(classes, device="cuda", dtype=torch.bfloat16)
    labels = torch.arange(rows, device="cuda") % classes

    def work():
        logits = torch.nn.functional.linear(x, w, bias).requires_grad_()
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        torch.autograd.grad(loss, logits)
    return work


def heads():
    for rows, classes, width in itertools.product((32, 256), (2, 10, 102, 1000), (512, 2048, 4096)):
        size = 2 * (rows * width + classes * width + 3 * rows * classes)
        sets = min(int(3 * L2 / size) + 1, 64)  # which take turns, so that none is still in the L2 cache
        works = itertools.cycle([head_with_loss(rows, classes, width) for _ in range(sets)])
        yield f"G3/head_{rows}x{classes}x{width}_loss/bf16/pytorch", microseconds(lambda: next(works)())


def optimisers():
    for network, size in (("resnet50", 25557032), ("vgg16", 138357544)):
        p = torch.nn.Parameter(torch.randn(size, device="cuda"))
        p.grad = torch.randn_like(p)
        makers = {
            "sgd_momentum": lambda: torch.optim.SGD([p], lr=1e-6, momentum=0.9, fused=True),
            "adamw": lambda: torch.optim.AdamW([p], lr=1e-6, fused=True),
        }
        for name, make in makers.items():
            yield f"O1/{name}_{network}/f32/pytorch", microseconds(make().step)


def main():
    rows = [{"name": name, "run_type": "iteration", "us": us} for part in (norms(), heads(), optimisers())
            for name, us in part]
    context = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    print(json.dumps({"context": context, "benchmarks": rows}))


if __name__ == "__main__":
    main()
