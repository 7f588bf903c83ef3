#!/usr/bin/python3
"""Expected values of whole networks, made with PyTorch and torchvision, for models_golden_test.cpp.

  tests/golden.py --run build/graft_models_tests --jobs 2     the usual networks, two at a time
  tests/golden.py --run build/graft_models_tests --slow       what that leaves out; takes hours
  tests/golden.py --out DIR --archs resnet18 squeezenet1_1    only the files

Training is compared for one network of each kind (TRAINED), with --slow for others (TRAINED_SLOWLY),
for all with --train all, or for none.
There a difference can be rounding: where two values of a max pool, or a value and the zero of a
ReLU, are closer than float32 tells apart, one unit flips and its gradient differs by a percent. Then
the first layer that differs, seen from the loss, does so in a single row; other seeds agree. --run
asks two others before it says that a network differs.

Every network gets seeded random weights in which nothing is an identity that would hide a mistake:
norms scale, shift and have running statistics near, but not equal to, those of a batch; biases are
not zero. Dropout is off. DIR/<arch> then holds

  weights.safetensors   the tensors under torchvision's names; weights.pth, weights.legacy.pth the same
  golden.safetensors    computed in float64; "noise" is the largest difference that PyTorch's own
                        float32 has from it, so a tolerance can be a small multiple of it
    input (N,H,W,3), labels (N)      logits, logits_noise          in eval mode
    <regime>/loss, loss_noise        before each of three SGD steps, momentum 0.9, in train mode
    <regime>/grad/<parameter>        the first gradient in the order of graft's memory, flat; of n
                                     elements every (n / 20000 + 1)th
    <regime>/norm/<parameter>        l2 norm of all of it
    <regime>/noise/<parameter>       l2 norm of the noise of what is in grad/
    <regime>/after/<buffer>          running statistics after the steps
    <regime>/noise/<buffer>          largest difference
    <regime>/logits, logits_noise    after the steps, in eval mode
  and in its metadata plan/<regime>, the freeze plan, and rate.
Regimes: head trains the last layer only, last the last stage too, all everything.
"""
import argparse
import concurrent.futures
import copy
import functools
import hashlib
import json
import math
import multiprocessing
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import torch
import torchvision
from torch import nn

CIFAR = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18}  # blocks
# Pattern of the names -> the last layer, and where the regime `last` begins to learn.
FAMILIES = {
    "|".join(CIFAR): ("linear", "layer3"),
    "(wide_)?resne(x)?t.*": ("fc", "layer4"),
    "squeezenet.*": ("classifier.1", "features.11"),
    "vgg11": ("classifier.6", "features.16"), "vgg11_bn": ("classifier.6", "features.22"),
    "vgg13": ("classifier.6", "features.20"), "vgg13_bn": ("classifier.6", "features.28"),
    "vgg16": ("classifier.6", "features.24"), "vgg16_bn": ("classifier.6", "features.34"),
    "vgg19": ("classifier.6", "features.28"), "vgg19_bn": ("classifier.6", "features.40"),
    "alexnet": ("classifier.6", "features.8"),
    "densenet.*": ("classifier", "features.denseblock4"),
    "mobilenet_v2.*": ("classifier.1", "features.16"),
    "mobilenet_v3_large": ("classifier.3", "features.14"),
    "mobilenet_v3_small": ("classifier.3", "features.10"),
    "mnasnet.*": ("classifier.1", "layers.12"),
    "efficientnet_b.*": ("classifier.1", "features.7"),
    "efficientnet_v2_s": ("classifier.1", "features.6"),
    "efficientnet_v2_[ml]": ("classifier.1", "features.7"),
    "shufflenet.*": ("fc", "stage4"),
    "regnet.*": ("fc", "trunk_output.block4"),
    "googlenet": ("fc", "inception5a"),
    "inception_v3.*": ("fc", "Mixed_7a"),
    "vit_b.*": ("heads.head", "encoder.layers.encoder_layer_11"),
    "vit_l.*": ("heads.head", "encoder.layers.encoder_layer_23"),
    "convnext.*": ("classifier.2", "features.7"),
    "swin.*": ("head", "features.7"),
}
# Compared by default: the small ones of each family, some of them in training, too.
TRAINED = ["resnet18", "resnet50", "squeezenet1_0", "squeezenet1_1", "vgg16", "vgg11_bn", "alexnet",
           "resnet20", "resnext50_32x4d", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
           "mnasnet0_5", "efficientnet_b0", "shufflenet_v2_x0_5", "regnet_y_400mf", "googlenet",
           "inception_v3", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t"]
SHOWN = ["resnet34", "resnet152", "vgg19", "vgg19_bn", "wide_resnet50_2", "resnet56", "densenet169",
         "mobilenet_v3_large", "mnasnet1_3", "efficientnet_b3", "efficientnet_v2_s", "shufflenet_v2_x1_0",
         "regnet_x_8gf", "convnext_small", "swin_s", "swin_v2_s", "resnet50_v1", "mobilenet_v2_keras"]
# Regimes to be compared by default, where not all three: in vgg11_bn a unit that flips outweighs every
# rounding; the others would take long, and their layers are covered elsewhere.
REGIMES = {"vgg11_bn": ["head"], "inception_v3": ["head", "all"], "convnext_tiny": ["all"],
           "alexnet": ["last"], "resnext50_32x4d": ["last"], "vit_b_32": ["all"], "swin_t": ["all"],
           "swin_v2_t": ["all"]}
# With which no unit flips in three steps; else 1.
SEEDS = {"mobilenet_v2": 5, "mnasnet0_5": 2, "densenet121": 3, "regnet_y_400mf": 2, "googlenet": 2,
         "resnet32": 2, "regnet_y_800mf": 2, "regnet_y_1_6gf": 2, "shufflenet_v2_x2_0": 2,
         "resnet152_v1": 2, "vgg13": 2, "vgg13_bn": 3, "densenet161": 4, "densenet169": 2,
         "densenet169_keras": 2, "inception_v3_keras": 5}
# Of an image in pixels, where not 64. At its smallest, 75, inception_v3 norms over four values.
# An odd side tells Keras' padding from the others' at every stride.
SIDES = {"inception_v3.*": 128, "vit.*": 224, "(mobilenet|efficientnet).*_keras": 75}
# Compared with --slow: the others of each family, the larger ones in one regime.
TRAINED_SLOWLY = dict.fromkeys("""
    resnet10_small resnet32 resnet44 resnet56 resnet110 densenet121_keras mobilenet_v2_keras
    mobilenet_v3_large mnasnet0_75 mnasnet1_0 mnasnet1_3 efficientnet_b1 efficientnet_b2
    efficientnet_b3 efficientnet_b0_keras efficientnet_b1_keras efficientnet_b2_keras
    efficientnet_b3_keras shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 regnet_x_400mf
    regnet_x_800mf regnet_x_1_6gf regnet_y_800mf regnet_y_1_6gf
""".split(), ["head", "last", "all"])
TRAINED_SLOWLY |= dict.fromkeys("""
    resnet34 resnet101 resnet152 resnet50_v1 resnet101_v1 resnet152_v1 wide_resnet50_2
    wide_resnet101_2 resnext101_32x8d resnext101_64x4d vgg11 vgg13 vgg19 vgg13_bn vgg16_bn vgg19_bn
    densenet161 densenet169 densenet201 densenet169_keras densenet201_keras efficientnet_b4
    efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_b4_keras efficientnet_b5_keras
    efficientnet_b6_keras efficientnet_b7_keras efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l
    regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf
    regnet_y_32gf inception_v3_keras convnext_small convnext_base vit_b_16 swin_s swin_b swin_v2_s
    swin_v2_b
""".split(), ["all"])
# In float64, with gradients and momenta of everything, they would not fit in 16 GB.
TRAINED_SLOWLY |= dict.fromkeys("convnext_large regnet_y_128gf vit_l_16 vit_l_32".split(), ["last"])
SAMPLE = 20_000  # elements of a gradient
STEPS = 3
RATES = {"vgg1[1369]": 1e-4}  # at 1e-3 their loss jumps about; the others take 1e-3
TYPES = {torch.float32: "F32", torch.int32: "I32", torch.int64: "I64"}


def write_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": TYPES[t.dtype], "shape": list(t.shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.detach().contiguous().numpy().tobytes())


def of_pattern(table, arch, *otherwise):
    return next((v for pattern, v in table.items() if re.fullmatch(pattern, arch)), *otherwise)


def family_of(arch):
    return of_pattern(FAMILIES, arch)


def plans(arch):
    return {"head": "trunk", "last": "until:" + family_of(arch)[1], "all": "none"}


class CifarBlock(nn.Module):
    """As in akamaster/pytorch_resnet_cifar10, shortcuts of option A."""

    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, width // channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if x.shape != y.shape:
            more = (y.shape[1] - x.shape[1]) // 2
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
        return (x + y).relu()


class CifarResNet(nn.Module):
    def __init__(self, blocks, num_classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for i, (before, width) in enumerate([(16, 16), (16, 32), (32, 64)], 1):
            stage = [CifarBlock(before if b == 0 else width, width) for b in range(blocks)]
            setattr(self, f"layer{i}", nn.Sequential(*stage))
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def resnet10_small(classes):
    """A quarter of a ResNet-18's width, half its depth, and no pooling in front."""
    block = torchvision.models.resnet.BasicBlock
    net = torchvision.models.ResNet(block, [1, 1, 1, 1])
    net.inplanes, net.maxpool = 16, nn.Identity()
    net.conv1, net.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
    for i in range(4):
        setattr(net, f"layer{i + 1}", net._make_layer(block, 16 << i, 1, stride=min(i + 1, 2)))
    net.fc = nn.Linear(128, classes)
    return net


# What is published for Keras: epsilon, and the share of a batch in running statistics.
KERAS = {"resnet.*_v1": (1.001e-5, 0.01), "densenet.*_keras": (1.001e-5, 0.01),
         "inception.*_keras": (1e-3, 0.01), "efficientnet.*_keras": (1e-3, 0.01),
         "mobilenet_v2_keras": (1e-3, 0.001)}


def pad_as_keras(conv, inputs):
    """Evenly for an odd side; for an even one, one less in front."""
    half, (height, width) = conv.kernel_size[0] // 2, inputs[0].shape[2:]
    return nn.functional.pad(inputs[0], (half - 1 + width % 2, half, half - 1 + height % 2, half))


def as_keras(net, arch):
    """torchvision's network as keras.applications has it, under torchvision's names."""
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps, norm.momentum = of_pattern(KERAS, arch)
    for conv in net.modules():
        if isinstance(conv, nn.Conv2d) and conv.stride == (2, 2) and re.match("mobilenet|eff", arch):
            conv.padding = (0, 0)
            conv.register_forward_pre_hook(pad_as_keras)
        elif isinstance(conv, nn.Conv2d) and arch.startswith("resnet"):
            conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
    for block in net.modules():
        if isinstance(block, torchvision.models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    if arch.startswith("inception"):
        average = nn.functional.avg_pool2d
        nn.functional.avg_pool2d = functools.partial(average, count_include_pad=False)
    return net


def build(arch, classes):
    if arch in CIFAR:
        return CifarResNet(CIFAR[arch], classes)
    if arch == "resnet10_small":
        return resnet10_small(classes)
    if of_pattern(KERAS, arch, None):
        return as_keras(build(re.sub("_v1$|_keras$", "", arch), classes), arch)
    options = {"aux_logits": False, "init_weights": False} if arch in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, arch)(weights=None, num_classes=classes, **options)


def randomise(net, head, x):
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, 0, math.sqrt(2 / module.weight[0].numel()))
            if module.bias is not None:
                nn.init.normal_(module.bias, 0.05, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.MultiheadAttention):
            nn.init.normal_(module.in_proj_weight, 0, module.embed_dim ** -0.5)
            nn.init.normal_(module.in_proj_bias, 0, 0.1)
        elif hasattr(module, "relative_position_bias_table"):
            nn.init.normal_(module.relative_position_bias_table, 0, 0.5)
        elif hasattr(module, "logit_scale"):
            nn.init.uniform_(module.logit_scale, 1, 3)
        elif hasattr(module, "pos_embedding"):
            nn.init.normal_(module.pos_embedding, 0, 0.3)
        elif hasattr(module, "class_token"):
            nn.init.normal_(module.class_token, 0, 0.3)
        elif hasattr(module, "layer_scale"):
            nn.init.uniform_(module.layer_scale, 0.1, 0.3)
        elif isinstance(module, (nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    for block in net.modules():  # keeps deep sums of branches, and so rounding, small
        last_norm = getattr(block, "bn3", None) or getattr(block, "bn2", None)
        if type(block).__name__ in ("MBConv", "FusedMBConv"):
            last_norm = block.block[-1][1]
        if last_norm is not None:
            last_norm.weight.data *= 0.1
        if isinstance(block, torchvision.ops.SqueezeExcitation):
            block.fc2.weight.data *= 0.1  # or its sigmoid says all or nothing
    if isinstance(net, torchvision.models.EfficientNet):
        settle_in_turn(net, x)
    else:
        settle_statistics(net, x)
    if head == "classifier.6":  # 4096 features: small ones, or three steps explode
        hidden = next(i for i in (4, 3) if isinstance(net.classifier[i], nn.Linear))
        scale_output(net, f"classifier.{hidden}", x, 0.1)
    scale_output(net, head, x, 1.0)


def scale_output(net, layer, x, deviation):
    outputs = []
    hook = net.get_submodule(layer).register_forward_hook(lambda m, i, o: outputs.append(o.std()))
    net.eval()(x)
    hook.remove()
    for p in net.get_submodule(layer).parameters():
        p.data *= deviation / outputs[0]


def settle_statistics(net, x):
    norms = {m: m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)}
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        net.train()(x)
    for norm, momentum in norms.items():
        norm.momentum = momentum
        perturb(norm)


def settle_in_turn(net, x):
    """Every norm gets the statistics of what reaches it in eval mode, through the norms before it. Those
    of train mode do not know how far their predecessors are off: in a deep EfficientNet activations then
    grow from block to block (to 100 in B4), and as its gates grow with them, each block multiplies
    the share that is rounding, until the last bit of a pixel decides about the logits."""
    def settle(norm, inputs):
        norm.running_var, norm.running_mean = torch.var_mean(inputs[0], (0, 2, 3))
        perturb(norm)

    hooks = [m.register_forward_pre_hook(settle) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    if hooks:
        net.eval()(x)
    for hook in hooks:
        hook.remove()


def perturb(norm):
    norm.running_mean += 0.2 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
    norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.6, 1.5)
    norm.num_batches_tracked.fill_(3)


def freeze(net, plan, head):
    """Sets what learns; what does not is in eval mode. Returns the parameters that learn."""
    names = [name for name, _ in net.named_parameters()]
    first = 0
    if plan != "none":
        prefix = head if plan == "trunk" else plan.split(":")[1]
        number = {name: i for i, (name, _) in enumerate(net.named_modules())}
        first = next(i for i, n in enumerate(names) if number[n.rpartition(".")[0]] >= number[prefix])
    learning = set(names[first:])
    net.train()
    for name, module in net.named_modules():
        own = [f"{name}.{n}" for n, _ in module.named_parameters(recurse=False)]
        if own and not learning.intersection(own):
            module.eval()
    for name, p in net.named_parameters():
        p.requires_grad_(name in learning)
        p.grad = None
    return {name: p for name, p in net.named_parameters() if name in learning}


def sample(grad):
    """Filters as (O,H,W,I), columns of a matrix on a map as (H,W,C); thinned out."""
    for channels, side in ((512, 7), (256, 6)):  # VGG, AlexNet
        if grad.dim() == 2 and grad.shape[1] == channels * side * side:
            grad = grad.view(-1, channels, side, side)
    if grad.dim() == 4:
        grad = grad.permute(0, 2, 3, 1)
    return grad.flatten()[::grad.numel() // SAMPLE + 1].clone()


def l2(t):
    return torch.stack([row.double().norm() for row in t]).norm() if t.dim() else t.double().abs()


def train(net, plan, head, x, y, rate):
    """Three steps -> everything worth comparing, by name."""
    learning = freeze(net, plan, head)
    sgd = torch.optim.SGD(learning.values(), lr=rate, momentum=0.9)
    seen, losses = {}, []
    for step in range(STEPS):
        sgd.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            seen["grad"] = {n: sample(p.grad).double() for n, p in learning.items()}
            seen["norm"] = {n: l2(p.grad) for n, p in learning.items()}
        sgd.step()
    seen["loss"] = torch.tensor(losses, dtype=torch.double)
    seen["after"] = {n: b.double() for n, b in net.named_buffers() if "running" in n}
    with torch.no_grad():
        seen["logits"] = net.eval()(x).double()
    return seen


def largest(rough, exact, size):
    """The largest difference that one of the float32 results has from the exact one."""
    return torch.stack([size(a - exact) for a in rough]).max().float()


def compare(regime, rough, double):
    """The tensors of one regime from its runs in float32 and the one in float64."""
    out = {}

    def add(name, noise, runs, exact, size=lambda d: d.abs().max()):
        out[f"{regime}/{name}"] = exact.float()
        out[f"{regime}/{noise}"] = largest(runs, exact, size)

    for name in ("loss", "logits"):
        add(name, name + "_noise", [run[name] for run in rough], double[name])
    for name, exact in double["after"].items():
        add("after/" + name, "noise/" + name, [run["after"][name] for run in rough], exact)
    for name, exact in double["grad"].items():
        norm = double["norm"][name]
        add("grad/" + name, "noise/" + name, [run["grad"][name] for run in rough], exact, torch.norm)
        out[f"{regime}/norm/{name}"] = norm.float()
    return out


def nudged(x):
    """The same but for the last bit: its results differ by what rounding does to a network."""
    return x * (1 + torch.randint(-1, 2, x.shape) * 2.0 ** -23)


def make(arch, folder, regimes, size, batch, seed, runs):
    torch.set_num_threads(1)  # at these sizes more threads wait for each other
    torch.manual_seed(seed)
    os.makedirs(folder, exist_ok=True)
    net, head = build(arch, 10), family_of(arch)[0]
    size = max(size, of_pattern(SIDES, arch, 0))
    with torch.no_grad():
        randomise(net, head, torch.randn(4 * batch, 3, size, size))
    x, y = torch.randn(batch, 3, size, size), torch.randint(10, (batch,))
    start = copy.deepcopy(net.state_dict())
    weights = os.path.join(folder, "weights.")
    write_safetensors(weights + "safetensors", start, {"format": "pt"})
    torch.save(start, weights + "pth")
    torch.save(start, weights + "legacy.pth", _use_new_zipfile_serialization=False)

    out = {"input": x.permute(0, 2, 3, 1), "labels": y.int()}
    rate = of_pattern(RATES, arch, 1e-3)
    metadata = {"arch": arch, "rate": str(rate), "torch": torch.__version__}
    inputs = [x] + [nudged(x) for _ in range(1, runs)]
    with torch.no_grad():
        rough = [net.eval()(i).double() for i in inputs]
        out["logits"] = net.double()(x.double())
    out["logits_noise"] = largest(rough, out["logits"], lambda d: d.abs().max())
    out["logits"] = out["logits"].float()
    for regime in regimes:
        plan, rough = plans(arch)[regime], []
        for i in inputs:
            net.float().load_state_dict(start)
            rough.append(train(net, plan, head, i, y, rate))
        net.double().load_state_dict(start)
        out.update(compare(regime, rough, train(net, plan, head, x.double(), y, rate)))
        metadata["plan/" + regime] = plan
    write_safetensors(os.path.join(folder, "golden.safetensors"), out, metadata)


def seed_of(arch, args):
    return args.seed or SEEDS.get(arch, 1)


def regimes_of(arch, args):
    every = ["head", "last", "all"]
    if args.train == "all":
        return every
    if args.train == "none":
        return []
    if args.slow:
        return TRAINED_SLOWLY.get(arch, [])
    return REGIMES.get(arch, every) if arch in TRAINED else []


def left_out(binary):
    """The networks of which the usual run does not compare what the slow one does."""
    tests = subprocess.run([binary, "--gtest_list_tests", "--gtest_filter=*Golden*"], check=True,
                           capture_output=True, text=True).stdout
    known = re.findall(r"AsPyTorch/(\w+)__eval", tests)
    return [arch for arch in known if arch not in TRAINED + SHOWN or arch in TRAINED_SLOWLY]


def make_apart(arch, args, out, seed, runs):
    """In a process of its own, so that its memory is free before the next one starts."""
    context = multiprocessing.get_context("forkserver")  # fork would copy the locks of --jobs' threads
    context.set_forkserver_preload(["torch", "torchvision"])
    child = context.Process(
        target=make, args=(arch, os.path.join(out, arch), regimes_of(arch, args), args.size,
                           args.batch, seed, runs))
    child.start()
    child.join()
    return child.exitcode == 0


def only_rounding(tests):
    """Whether all that failed is values that were compared with a noise: models_golden_test.cpp names it."""
    return tests.returncode == 1 and tests.stdout.count(": Failure") == tests.stdout.count(", noise ")


def compare_once(arch, args, seed, runs):
    """Makes the network's files, runs its tests, removes them. -> whether all is well, whether it can be asked
    again"""
    start, out = time.time(), tempfile.mkdtemp(prefix="graft_golden_")
    env = {"OMP_NUM_THREADS": "1", **os.environ, "GRAFT_GOLDEN_DIR": out}
    if args.xml:
        env["GTEST_OUTPUT"] = f"xml:{args.xml}/{os.path.basename(args.run)}.{arch}.xml"
    try:
        if not make_apart(arch, args, out, seed, runs):
            print(f"{arch}, seed {seed}: PyTorch FAILED", flush=True)
            return False, False
        made = time.time()
        tests = subprocess.run([args.run, f"--gtest_filter=*Golden*/{arch}__*", "--gtest_brief=1"], env=env,
                               stdout=subprocess.PIPE, text=True)
    finally:
        shutil.rmtree(out)
    ok = tests.returncode == 0
    print(f"{tests.stdout}{arch}, seed {seed}: {'ok' if ok else 'FAILED'}, {made - start:.1f} s to make, "
          f"{time.time() - made:.1f} s to test", flush=True)
    return ok, only_rounding(tests)


def compare_one(arch, args):
    """Where rounding turns a unit's sign in one of ten runs, two seldom show how much that moves, and in
    which seed it happens depends on the processor. So what differs is asked again, twice, with other
    weights and the noise of more runs: a wrong formula differs in all of them. Bytes that should be
    equal and are not, or a crash, are not asked again."""
    seed = seed_of(arch, args)
    for one in [(seed, args.runs), (seed + 100, 4), (seed + 200, 8)]:
        ok, again = compare_once(arch, args, *one)
        if ok or not again:
            return ok
    return False


def run(args):
    """-> networks that failed"""
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        ok = pool.map(lambda arch: compare_one(arch, args), args.archs)
        return [arch for arch, well in zip(args.archs, ok) if not well]


def print_names(archs):
    for arch in archs:
        tensors = build(arch, 10 if arch in CIFAR else 1000).state_dict()
        lines = [" ".join([name, *map(str, t.shape)]) + "\n" for name, t in sorted(tensors.items())]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        print(f'    {{"{arch}", "{digest[:16]}"}},', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="folder for the files")
    parser.add_argument("--run", metavar="BINARY", help="make the files of each network, test it, remove them")
    parser.add_argument("--jobs", type=int, default=1,
                        help="so many at a time, on one core each; with --run")
    parser.add_argument("--xml", metavar="FOLDER", help="for GoogleTest's reports; with --run")
    parser.add_argument("--names", action="store_true",
                        help="print digests of all tensors' names and shapes, for published_names.h")
    parser.add_argument("--archs", nargs="+", help="the usual ones if not given")
    parser.add_argument("--slow", action="store_true", help="the other networks, other trainings; with --run")
    parser.add_argument("--train", choices=["none", "some", "all"], default="some")
    parser.add_argument("--size", type=int, default=64, help="image side in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, help="of weights and images")
    parser.add_argument("--runs", type=int, default=2, help="in float32, for the noise")
    args = parser.parse_args()
    if args.slow and not args.run:
        parser.error("--slow needs --run")
    args.archs = args.archs or (left_out(args.run) if args.slow else TRAINED + SHOWN)
    if args.names:
        return print_names(args.archs)
    if args.run:
        failed = run(args)
        sys.exit(f"golden: {', '.join(failed)} differ from PyTorch" if failed else 0)
    if not args.out:
        parser.error("--out or --run is needed")
    made = [make_apart(arch, args, args.out, seed_of(arch, args), args.runs) for arch in args.archs]
    sys.exit(0 if all(made) else 1)


if __name__ == "__main__":
    main()
