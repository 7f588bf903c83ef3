#!/usr/bin/env python3
"""Writes what PIL makes of images, for io_*_test to compare with: decode_reference.py FOLDER [IMAGE ...]

Use: python3 tests/decode_reference.py /tmp/reference && GRAFT_REFERENCE_DIR=/tmp/reference ctest
Without images it draws some of its own, in every mode that both sides treat alike. Files in FOLDER:
  decode.txt   number <tab> path         decoded_N.npy  (H, W, 3) u8 after the EXIF turn
                                         eval_N.npy     (224, 224, 3) u8, short side 256, centre crop
  resize.txt   w h out_w out_h           in_WxH.npy, resize_WxH_OWxOH.npy
  colour.txt   name factor               colour_in.npy, colour_I.npy (I: line from 0)
  rand.txt     change amount             rand_in.npy, rand_I.npy: changes of RandAugment, numbered as here
"""
import os
import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

BILINEAR = getattr(Image, "Resampling", Image).BILINEAR
BICUBIC = getattr(Image, "Resampling", Image).BICUBIC


def evaluation(im, resize=256, size=224):
    """torchvision's Resize and CenterCrop."""
    w, h = im.size
    if w <= h:
        im = im.resize((resize, int(resize * h / w)), BILINEAR)
    else:
        im = im.resize((int(resize * w / h), resize), BILINEAR)
    left, top = (int(round((side - size) / 2.0)) for side in im.size)
    return im.crop((left, top, left + size, top + size))


def noise(rng, w, h):
    small = rng.integers(0, 256, (max(h // 4, 1), max(w // 4, 1), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((w, h), BILINEAR)).astype(int)
    return np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)


def draw_images(folder, rng):
    os.makedirs(os.path.join(folder, "drawn"), exist_ok=True)
    paths = []

    def save(im, name, **options):
        paths.append(os.path.join(folder, "drawn", name))
        im.save(paths[-1], **options)

    for w, h in [(1, 1), (7, 300), (640, 427), (333, 500)]:
        im = Image.fromarray(noise(rng, w, h))
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                save(im, "%dx%d_%d_%d.jpg" % (w, h, subsampling, progressive), quality=85,
                     subsampling=subsampling, progressive=progressive)
        save(im.convert("L"), "%dx%d_grey.jpg" % (w, h))
        save(im.convert("CMYK"), "%dx%d_cmyk.jpg" % (w, h))
        save(im, "%dx%d.png" % (w, h))
        save(im, "%dx%d.bmp" % (w, h))
        save(im.convert("L"), "%dx%d_grey.png" % (w, h))
        save(im.convert("1"), "%dx%d_1bit.png" % (w, h))
        save(im.convert("P", palette=Image.ADAPTIVE), "%dx%d_palette.png" % (w, h))
        save(im.quantize(5), "%dx%d_5_colours.png" % (w, h), bits=4)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(Image.fromarray(noise(rng, 300, 280)), "turn_%d.jpg" % orientation, exif=exif)
    return paths


def write_decoded(folder, paths):
    with open(os.path.join(folder, "decode.txt"), "w") as index:
        for i, path in enumerate(paths):
            with Image.open(path) as opened:
                im = ImageOps.exif_transpose(opened).convert("RGB")
            np.save(os.path.join(folder, "decoded_%d.npy" % i), np.asarray(im))
            np.save(os.path.join(folder, "eval_%d.npy" % i), np.asarray(evaluation(im)))
            index.write("%d\t%s\n" % (i, os.path.abspath(path)))


def write_resized(folder, rng):
    sources = [(1, 1), (2, 2), (1, 500), (500, 1), (37, 61), (128, 128), (500, 375), (1000, 333)]
    with open(os.path.join(folder, "resize.txt"), "w") as index:
        for w, h in sources:
            a = noise(rng, w, h)
            np.save(os.path.join(folder, "in_%dx%d.npy" % (w, h)), a)
            for out in [(1, 1), (5, 3), (w, h), (224, 224), (341, 256), (w + 1, max(h - 1, 1))]:
                for name, how in (("bilinear", BILINEAR), ("bicubic", BICUBIC)):
                    b = np.asarray(Image.fromarray(a).resize(out, how))
                    np.save(os.path.join(folder, "%s_%dx%d_%dx%d.npy" % (name, w, h, *out)), b)
                    index.write("%s %d %d %d %d\n" % (name, w, h, *out))


def write_colours(folder, rng):
    im = Image.fromarray(noise(rng, 97, 61))
    np.save(os.path.join(folder, "colour_in.npy"), np.asarray(im))
    changes = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast,
               "saturation": ImageEnhance.Color}
    lines = [(name, factor) for name in changes for factor in (0.0, 0.3, 1.0, 1.7)]
    with open(os.path.join(folder, "colour.txt"), "w") as index:
        for i, (name, factor) in enumerate(lines):
            np.save(os.path.join(folder, "colour_%d.npy" % i), np.asarray(changes[name](im).enhance(factor)))
            index.write("%s %g\n" % (name, factor))


def sharpened(im, x):
    return ImageEnhance.Sharpness(im).enhance(1 + x)


def warped(im, *matrix):
    return im.transform(im.size, Image.AFFINE, matrix, Image.NEAREST)


RAND_CHANGES = [  # as torchvision's RandAugment calls PIL
    lambda im, x: im,
    lambda im, x: warped(im, 1, x, 0, 0, 1, 0),
    lambda im, x: warped(im, 1, 0, 0, x, 1, 0),
    lambda im, x: warped(im, 1, 0, -int(x), 0, 1, 0),
    lambda im, x: warped(im, 1, 0, 0, 0, 1, -int(x)),
    lambda im, x: im.rotate(x),
    lambda im, x: ImageEnhance.Brightness(im).enhance(1 + x),
    lambda im, x: ImageEnhance.Color(im).enhance(1 + x),
    lambda im, x: ImageEnhance.Contrast(im).enhance(1 + x),
    sharpened,
    lambda im, x: ImageOps.posterize(im, int(x)),
    lambda im, x: ImageOps.solarize(im, x),
    lambda im, x: ImageOps.autocontrast(im),
    lambda im, x: ImageOps.equalize(im),
]


def write_rand_changes(folder, rng):
    im = Image.fromarray(noise(rng, 61, 61) // 2 + 40)
    np.save(os.path.join(folder, "rand_in.npy"), np.asarray(im))
    free = {1: 0.3, 2: 0.3, 3: 20, 4: 20, 5: 30, 6: 0.9, 7: 0.9, 8: 0.9, 9: 0.9}
    lines = [(0, 0.0), (12, 0.0), (13, 0.0)]
    lines += [(c, sign * part * most) for c, most in free.items() for part in (0.1, 0.3, 1) for sign in (1, -1)]
    lines += [(10, float(bits)) for bits in (4, 6, 8)] + [(11, t) for t in (0.0, 100.0, 178.5, 255.0)]
    with open(os.path.join(folder, "rand.txt"), "w") as index:
        for i, (change, amount) in enumerate(lines):
            np.save(os.path.join(folder, "rand_%d.npy" % i), np.asarray(RAND_CHANGES[change](im, amount)))
            index.write("%d %.17g\n" % (change, amount))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, images = sys.argv[1], sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(7)
    write_decoded(folder, images + draw_images(folder, rng))
    write_resized(folder, rng)
    write_colours(folder, rng)
    write_rand_changes(folder, rng)


if __name__ == "__main__":
    main()
