#!/usr/bin/env python3
"""graft against timm: the same weights under timm's names, the same logits.

    GRAFT=build/graft tests/timm_check.py [--archs NAME...] [--all]

Every network gets seeded random weights in which nothing is an identity that would hide a mistake, and
is saved as .safetensors and as .pth; graft converts both, and timm computes the logits of the input
that the model file keeps. Prints one line a network; exits with 1 when one differs by more than
TOLERANCE of its largest logit. Those that graft must refuse are tried as well. Needs timm and h5py.
"""
import argparse
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

# The row of the zoo, by timm's name. Where the tensors are also those of a network that pads in
# another way, the row must be said (TOLD).
SAME = {
    "vgg11": "vgg11", "vgg11_bn": "vgg11_bn", "vgg13": "vgg13", "vgg13_bn": "vgg13_bn",
    "vgg16": "vgg16", "vgg16_bn": "vgg16_bn", "vgg19": "vgg19", "vgg19_bn": "vgg19_bn",
    "resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "resnet101": "resnet101",
    "resnet152": "resnet152", "wide_resnet50_2": "wide_resnet50_2",
    "wide_resnet101_2": "wide_resnet101_2", "resnext50_32x4d": "resnext50_32x4d",
    "resnext101_32x8d": "resnext101_32x8d", "resnext101_64x4d": "resnext101_64x4d",
    "densenet121": "densenet121", "densenet161": "densenet161", "densenet169": "densenet169",
    "densenet201": "densenet201", "inception_v3": "inception_v3",
    "mobilenetv2_100": "mobilenet_v2",
    "mnasnet_050": "mnasnet0_5", "mnasnet_075": "mnasnet0_75", "mnasnet_100": "mnasnet1_0",
    "efficientnet_b0": "efficientnet_b0", "efficientnet_b1": "efficientnet_b1",
    "efficientnet_b2": "efficientnet_b2", "efficientnet_b3": "efficientnet_b3",
    "efficientnet_b4": "efficientnet_b4",
    "regnetx_004_tv": "regnet_x_400mf", "regnetx_008": "regnet_x_800mf",
    "regnetx_016": "regnet_x_1_6gf", "regnetx_032": "regnet_x_3_2gf",
    "regnetx_080": "regnet_x_8gf", "regnetx_160": "regnet_x_16gf", "regnetx_320": "regnet_x_32gf",
    "regnety_004": "regnet_y_400mf", "regnety_008_tv": "regnet_y_800mf",
    "regnety_016": "regnet_y_1_6gf", "regnety_032": "regnet_y_3_2gf",
    "regnety_080_tv": "regnet_y_8gf", "regnety_160": "regnet_y_16gf", "regnety_320": "regnet_y_32gf",
    "convnext_tiny": "convnext_tiny", "convnext_small": "convnext_small",
    "convnext_base": "convnext_base", "convnext_large": "convnext_large",
    "vit_base_patch16_224": "vit_b_16", "vit_base_patch32_224": "vit_b_32",
    "vit_large_patch16_224": "vit_l_16", "vit_large_patch32_224": "vit_l_32",
    "deit_base_patch16_224": "vit_b_16",
    "swin_tiny_patch4_window7_224": "swin_t", "swin_small_patch4_window7_224": "swin_s",
    "swin_base_patch4_window7_224": "swin_b",
}
TOLD = ["efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"]
REFUSED = {  # the row whose tensors they have, but not its values
    "mobilenetv3_large_100": "mobilenet_v3_large", "mobilenetv3_small_100": "mobilenet_v3_small",
    "efficientnet_b5": "efficientnet_b5", "efficientnet_b6": "efficientnet_b6",
    "efficientnet_b7": "efficientnet_b7", "efficientnetv2_s": "efficientnet_v2_s",
    "efficientnetv2_m": "efficientnet_v2_m", "efficientnetv2_l": "efficientnet_v2_l",
}
FEW = ["vgg11_bn", "resnet18", "densenet121", "mobilenetv2_100", "mnasnet_050", "efficientnet_b0",
       "regnetx_004_tv", "regnety_004", "convnext_tiny", "vit_base_patch32_224",
       "swin_tiny_patch4_window7_224", "mobilenetv3_small_100", "efficientnetv2_s"]
TOLERANCE = 1e-4


def randomise(net):
    import torch
    from golden import settle_in_turn

    torch.manual_seed(1)
    with torch.no_grad():
        for name, t in net.state_dict().items():
            leaf = name.rsplit(".", 1)[-1]
            if not t.is_floating_point():
                continue
            if leaf == "running_var" or (t.dim() == 1 and leaf == "weight"):
                t.uniform_(0.6, 1.4)
            elif leaf == "gamma":
                t.uniform_(0.1, 0.3)
            elif leaf == "relative_position_bias_table":
                t.normal_(0, 0.5)
            elif t.dim() >= 2 and leaf == "weight":
                t.normal_(0, (1.5 / t[0].numel()) ** 0.5)
            else:
                t.normal_(0, 0.1)
            # Small branches, and gates near a half, keep rounding small in a deep network.
            if re.search(r"bn3\.weight|se\.(conv_expand|fc2)\.weight", name):
                t *= 0.1
        settle_in_turn(net, torch.randn(8, 3, 96, 96))  # or gates let the image fade


def save(net, stem):
    import torch

    tensors = {n: t.contiguous() for n, t in net.state_dict().items()}
    torch.save(tensors, stem + ".pth")
    kinds, header, offset = {torch.float32: "F32", torch.int64: "I64"}, {}, 0
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": kinds[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(stem + ".safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.numpy().tobytes())


def convert(folder, source, row):
    args = [os.environ["GRAFT"], "convert", source, "m.h5", *(["--model", row] if row else [])]
    return subprocess.run(args, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)


def difference(net, path):
    """Of timm's logits from those in the model file, as a share of the largest; and as much of another
    image's, which must be far larger, or equal logits prove nothing."""
    import h5py
    import torch

    with h5py.File(path) as file:
        images = torch.from_numpy(file["golden/input"][:]).permute(0, 3, 1, 2)
        logits = torch.from_numpy(file["golden/logits"][:])
    with torch.no_grad():
        exact, other = net.double()(torch.cat([images, torch.randn_like(images)]).double()).chunk(2)
    return [float((logits - y).abs().max() / exact.abs().max()) for y in (exact, other)]


def check(arch, folder):
    """-> what is wrong, or what holds; and whether it holds."""
    import timm

    net = timm.create_model(arch, num_classes=1000).eval()
    randomise(net)
    save(net, os.path.join(folder, "w"))
    row, refused = SAME.get(arch), arch in REFUSED
    if refused or arch in TOLD:
        for said in ([None, REFUSED[arch]] if refused else [None]):
            result = convert(folder, "w.safetensors", said)
            if result.returncode != 65 or arch not in result.stderr.replace("timm's " + arch, arch):
                return f"was not refused with --model {said}: {result.stderr[-300:]}", False
        if refused:
            return "refused", True
    worst = 0.0
    for source, said in (("w.safetensors", row if arch in TOLD else None), ("w.pth", row)):
        result = convert(folder, source, said)
        if result.returncode:
            return f"{source} --model {said}: {result.stderr[-500:]}", False
        if not re.match(re.escape(row) + " with 1000", result.stdout):
            return f"{source} --model {said}: {result.stdout}", False
        found, other = difference(net, os.path.join(folder, "m.h5"))
        if other < 20 * TOLERANCE:
            return f"logits hardly depend on the image: {other:.1e}", False
        worst = max(worst, found)
    return f"{row}, differs by {worst:.1e}", worst < TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", help="names in timm; default: one of each family")
    parser.add_argument("--all", action="store_true", help="all that are known")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    failed = []
    for arch in args.archs or ([*SAME, *REFUSED] if args.all else FEW):
        with tempfile.TemporaryDirectory(prefix="graft_timm_") as folder:
            text, good = check(arch, folder)
        print(f"{arch}: {text}", flush=True)
        failed += [] if good else [arch]
    sys.exit(f"timm_check: {', '.join(failed)} differ" if failed else 0)


if __name__ == "__main__":
    main()
