#!/usr/bin/env python3
"""Values and gradients of every operation from PyTorch, for core_torch_test.cpp.

    op_reference.py DIR       writes all cases to DIR/ops.txt; run the tests with
                              GRAFT_REFERENCE_DIR=DIR
    op_reference.py --header  prints the small cases as tests/torch_values.h

A case is text: `case NAME OP`, `attr KEY COUNT VALUE...`, `tensor ROLE RANK DIM... VALUE...`, `end`.
Roles: input, constant, output, grad (one per input) and state (the constants afterwards).
Tensors are in graft's layouts, (N,H,W,C) and (O,R,S,I)."""
import math
import sys
import textwrap

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
CASES = []  # (name, op, attrs, tensors, small)


def to_torch(t):  # N,H,W,C -> N,C,H,W and O,R,S,I -> O,I,R,S
    return t.permute(0, 3, 1, 2) if t.dim() == 4 else t


def to_graft(t):
    return t.permute(0, 2, 3, 1) if t.dim() == 4 else t


def case(name, op, shapes, f, attrs=None, constants=(), small=False, values=None):
    """f takes and returns tensors in PyTorch's layout. Constants may be changed by f (state)."""
    torch.manual_seed(len(CASES))
    inputs = values or [torch.randn(s) * 1.5 for s in shapes]
    inputs = [t.float().requires_grad_(True) for t in inputs]
    state = [c.clone() for c in constants]
    y = to_graft(f(*[to_torch(t) for t in inputs], *state)).contiguous()
    r = torch.sin(torch.arange(y.numel(), dtype=torch.float32)).reshape(y.shape)
    (y * r).sum().backward()
    tensors = [("input", t) for t in inputs] + [("constant", c) for c in constants]
    tensors += [("output", y)] + [("grad", t.grad) for t in inputs] + [("state", s) for s in state]
    CASES.append((name, op, attrs or {}, tensors, small))


ACTS = {"none": lambda x: x, "relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid,
        "silu": F.silu, "gelu": F.gelu, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid}


def conv(name, x, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1, bias=False,
         residual=None, act="none", small=False):
    shapes = [x, w] + ([(w[0],)] if bias else []) + ([residual] if residual else [])

    def f(x, w, *rest):
        t, l, b, r = padding
        padded = F.pad(x, (l, r, t, b))
        y = F.conv2d(padded, w, rest[0] if bias else None, stride, 0, dilation, groups)
        return ACTS[act](y + rest[-1] if residual else y)
    case("conv2d_" + name, "conv2d", shapes, f, small=small, attrs=dict(
        stride=stride, padding=padding, dilation=dilation, groups=[groups], bias=[int(bias)],
        residual=[int(bool(residual))], act=[list(ACTS).index(act)]))


def norm(name, x, train, act="none", residual=False, small=False):
    c = x[-1]
    torch.manual_seed(len(CASES) + 1000)
    stats = (torch.randn(c), torch.rand(c) + 0.5)

    def f(x, g, b, *rest):
        y = F.batch_norm(x, rest[-2], rest[-1], g, b, train, 0.1, 1e-5)
        return ACTS[act](y + rest[0] if residual else y)
    case("batch_norm_" + name, "batch_norm", [x, (c,), (c,)] + ([x] if residual else []), f,
         dict(train=[int(train)], act=[list(ACTS).index(act)]), stats, small)


def pool(name, op, x, window, stride, padding=(0, 0), ceil=False, count=True, small=False):
    def f(x):
        if op == "max_pool2d":
            return F.max_pool2d(x, window, stride, padding, 1, ceil)
        return F.avg_pool2d(x, window, stride, padding, ceil, count)
    case(f"{op}_{name}", op, [x], f, small=small, attrs=dict(
        window=window, stride=stride, padding=padding * 2, ceil=[int(ceil)], count=[int(count)]))


def attend(qkv, bias=0, mask=None, heads=2):
    n, t, c3 = qkv.shape
    q, k, v = qkv.view(n, t, 3, heads, c3 // 3 // heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias
    if mask is not None:
        scores = scores + mask.repeat(n // len(mask), 1, 1)[:, None]
    return (F.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)


def cosine(qkv, logs):
    n, t, c3 = qkv.shape
    q, k, v = qkv.view(n, t, 3, len(logs), -1).unbind(2)
    q = F.normalize(q, dim=-1) * torch.clamp(logs, max=math.log(100.0)).exp().view(-1, 1)
    return torch.stack([q, F.normalize(k, dim=-1), v], 2).flatten(2)


def padded(x, window):  # (N,C,H,W)
    return F.pad(x, (0, -x.shape[3] % window[1], 0, -x.shape[2] % window[0]))


def windows(x, window, shift):  # (N,C,H,W) -> (N W, T, C)
    x = torch.roll(padded(x, window), (-shift[0], -shift[1]), (2, 3))
    x = x.unfold(2, window[0], window[0]).unfold(3, window[1], window[1])
    return x.permute(0, 2, 3, 4, 5, 1).flatten(0, 2).flatten(1, 2)


def window_mask(h, w, window, shift):
    """-100 where two tokens of a window come from both sides of a seam."""
    part = torch.zeros(1, 1, h, w)
    part[..., -shift[0]:, :] += 1
    part[..., -shift[1]:] += 2
    tokens = windows(part, window, (0, 0))  # the map is a multiple of the window
    return (tokens != tokens.transpose(1, 2)) * -100.0


def merge(x):
    x = padded(x, (2, 2))
    return torch.cat([x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)], 1)


def entropy(name, rows, classes, smoothing=0.0, weights=(), small=False):
    torch.manual_seed(rows)
    labels = torch.randint(0, classes, (rows,))
    w = torch.tensor(weights) if weights else None
    case("cross_entropy_" + name, "cross_entropy", [(rows, classes)],
         lambda x, y: F.cross_entropy(x, y, w, label_smoothing=smoothing),
         dict(smoothing=[smoothing], weights=weights), (labels,), small)


def optimizer(name, kind, make, attrs):
    torch.manual_seed(3)
    p, grads = torch.randn(33), [torch.randn(33) for _ in range(4)]
    param = p.clone().requires_grad_(True)
    o = make([param])
    for g in grads:
        param.grad = g.clone()
        o.step()
    tensors = [("constant", t) for t in [p, *grads]] + [("output", param)]
    CASES.append((name, kind, attrs, tensors, False))


def make_cases():
    conv("small", (1, 3, 3, 2), (2, 2, 2, 2), padding=(0, 0, 1, 1), bias=True, act="relu",
         small=True)
    conv("3x3", (2, 9, 7, 5), (6, 3, 3, 5), padding=(1, 1, 1, 1), bias=True)
    conv("1x1", (3, 5, 4, 17), (9, 1, 1, 17))
    conv("stride2", (2, 8, 8, 16), (32, 3, 3, 16), stride=(2, 2), padding=(1, 1, 1, 1))
    conv("stem", (2, 23, 21, 3), (16, 7, 7, 3), stride=(2, 2), padding=(3, 3, 3, 3))
    conv("same_even", (1, 10, 8, 4), (6, 3, 3, 4), stride=(2, 2), padding=(0, 0, 1, 1), bias=True)
    conv("dilated", (1, 11, 9, 4), (5, 3, 3, 4), padding=(2, 2, 2, 2), dilation=(2, 2))
    conv("groups", (2, 6, 6, 8), (12, 3, 3, 2), padding=(1, 1, 1, 1), groups=4, bias=True)
    conv("depthwise", (2, 9, 9, 24), (24, 3, 3, 1), stride=(2, 2), padding=(1, 1, 1, 1), groups=24)
    conv("residual", (2, 5, 5, 8), (16, 3, 3, 8), padding=(1, 1, 1, 1), bias=True,
         residual=(2, 5, 5, 16), act="relu")
    conv("silu", (1, 5, 5, 8), (4, 1, 1, 8), bias=True, act="silu")
    case("linear", "linear", [(4, 7), (5, 7), (5,)], F.linear, small=True)
    case("linear_large", "linear", [(9, 130), (33, 130), (33,)], F.linear)
    case("linear_map", "linear", [(2, 3, 4, 7), (5, 7), (5,)],
         lambda x, w, b: to_torch(F.linear(to_graft(x), w, b)))
    case("matmul", "matmul", [(5, 6), (6, 7)], torch.matmul)
    for act in list(ACTS)[1:]:
        edges = torch.tensor([-8, -3.5, -3, -2.9, -1, -0.1, 0, 0.1, 1, 2.9, 3, 5.9, 6, 7.0, 20])
        case(act, "activate", [], ACTS[act], dict(act=[list(ACTS).index(act)]), small=act == "gelu",
             values=[edges.clone()])
    norm("train", (2, 3, 2, 3), True, "relu", small=True)
    norm("train_plain", (3, 5, 4, 19), True)
    norm("train_residual", (2, 5, 4, 8), True, "relu", True)
    norm("train_silu", (2, 5, 4, 8), True, "silu")
    norm("train_hardswish_residual", (2, 4, 4, 8), True, "hardswish", True)
    norm("frozen", (2, 5, 4, 8), False)
    norm("frozen_residual", (2, 5, 4, 8), False, "relu", True)
    case("layer_norm", "layer_norm", [(3, 4, 19), (19,), (19,)],
         lambda x, g, b: F.layer_norm(x, (19,), g, b, 1e-6))
    case("attention", "attention", [(2, 7, 24)], attend, dict(heads=[2]))
    case("attention_windows", "attention", [(16, 9, 24), (2, 9, 9)],
         lambda x, b: attend(x, b, window_mask(6, 12, (3, 3), (1, 2))),
         dict(heads=[2], map=(6, 12), window=(3, 3), shift=(1, 2)))
    case("cosine_heads", "cosine_heads", [], cosine,
         values=[torch.randn(2, 5, 24), torch.tensor([0.5, 4.0, 4.6, 4.7])])
    for name, x, window, shift in [("whole", (2, 6, 9, 5), (3, 3), (1, 2)),
                                   ("padded", (2, 5, 7, 3), (4, 3), (2, 1)),
                                   ("plain", (1, 4, 6, 3), (2, 2), (0, 0))]:
        attrs = dict(window=window, shift=shift)
        case("to_windows_" + name, "to_windows", [x],
             lambda x, a=(window, shift): windows(x, *a), attrs)
        case("from_windows_" + name, "from_windows", [x], lambda x: x, attrs)
    case("merge_patches", "merge_patches", [(2, 6, 4, 5)], merge)
    case("merge_patches_odd", "merge_patches", [(2, 5, 7, 3)], merge)
    rows = torch.tensor([3, 0, 3, 2, 3, 4])
    case("lookup", "lookup", [(5, 3)], lambda t, i: t[i].T, constants=(rows,))
    case("add_tokens", "add_tokens", [(2, 3, 4), (1, 1, 4), (1, 4, 4)],
         lambda x, first, p: torch.cat([first.expand(2, 1, 4), x], 1) + p)
    case("mul_images", "mul_images", [(2, 3, 4, 5), (2, 1, 1, 5)], torch.mul)
    case("channels", "channels", [(2, 3, 2, 7)], lambda x: x[:, 2:6], dict(range=(2, 6)))
    case("shuffle_channels", "shuffle_channels", [(2, 3, 2, 6)],
         lambda x: x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2), dict(groups=[2]))
    pool("3x3s2", "max_pool2d", (2, 9, 8, 5), (3, 3), (2, 2), (1, 1))
    pool("2x2", "max_pool2d", (1, 4, 5, 2), (2, 2), (2, 2), small=True)
    pool("ceil", "max_pool2d", (1, 8, 7, 3), (3, 3), (2, 2), (0, 0), True)
    pool("ceil_padded", "max_pool2d", (1, 6, 6, 3), (3, 3), (2, 2), (1, 1), True)
    pool("padded", "avg_pool2d", (2, 7, 8, 3), (3, 3), (2, 2), (1, 1))
    pool("not_counted", "avg_pool2d", (2, 7, 8, 3), (3, 3), (2, 2), (1, 1), count=False)
    pool("ceil", "avg_pool2d", (1, 6, 7, 3), (3, 2), (2, 2), (1, 1), True)
    pool("ceil_not_counted", "avg_pool2d", (1, 6, 7, 3), (3, 2), (2, 2), (1, 1), True, False)
    for name, x, size in [("7to3", (2, 7, 5, 3), (3, 2)), ("up", (1, 3, 2, 2), (7, 5)),
                          ("1", (2, 7, 7, 16), (1, 1)), ("10to7", (1, 10, 13, 4), (7, 7))]:
        case("adaptive_" + name, "adaptive_avg_pool2d", [x],
             lambda x, size=size: F.adaptive_avg_pool2d(x, size), dict(size=size))
    case("softmax", "softmax", [(3, 7)], lambda x: F.softmax(x, -1))
    case("sum", "sum", [(3, 5)], torch.sum)
    case("mean", "mean", [(3, 5)], torch.mean)
    entropy("plain", 5, 10)
    entropy("smoothed", 6, 7, 0.1)
    entropy("weighted", 7, 3, 0.0, (0.5, 2.0, 1.25))
    entropy("both", 4, 3, 0.2, (0.5, 2.0, 0.25), small=True)
    s = dict(lr=0.1, momentum=0.9, weight_decay=0.01)
    optimizer("sgd", "sgd", lambda p: torch.optim.SGD(p, **s), dict(options=[0.1, 0.9, 0.01, 0, 0]))
    optimizer("sgd_nesterov", "sgd", lambda p: torch.optim.SGD(p, nesterov=True, **s),
              dict(options=[0.1, 0.9, 0.01, 0, 1]))
    optimizer("sgd_dampening", "sgd", lambda p: torch.optim.SGD(p, dampening=0.3, **s),
              dict(options=[0.1, 0.9, 0.01, 0.3, 0]))
    optimizer("adamw", "adamw", lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
              dict(options=[0.01, 0.9, 0.999, 1e-8, 0.1]))


def lines_of(c):
    name, op, attrs, tensors, _ = c
    yield f"case {name} {op}"
    for key, v in attrs.items():
        yield " ".join(["attr", key, str(len(v)), *[f"{x:.9g}" for x in v]])
    for role, t in tensors:
        flat = t.detach().reshape(-1).tolist()
        numbers = [f"{x:.9g}" for x in flat]
        yield " ".join(["tensor", role, str(t.dim()), *map(str, t.shape), *numbers])
    yield "end"


def main():
    make_cases()
    if sys.argv[1:] == ["--header"]:
        print("// Made by op_reference.py --header with PyTorch", torch.__version__.split("+")[0])
        print("#pragma once\n\ninline constexpr const char* kTorchValues = R\"(")
        for c in CASES:
            if c[4]:
                for line in lines_of(c):
                    print(textwrap.fill(line, 99))
        print(")\";")
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1] + "/ops.txt", "w") as out:
        for c in CASES:
            out.write("\n".join(lines_of(c)) + "\n")


if __name__ == "__main__":
    main()
