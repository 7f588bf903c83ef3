#!/usr/bin/env bash
# The table of regimes and recipes in bench/RESULTS.md: bench/recipes.sh IMAGES SQUEEZENET RESNET50
#   IMAGES      a folder with hymenoptera/ and mri_small/ (train/ and val/), flowers5/ (classes) and the lists
#               flowers5_train.txt and flowers5_val.txt, of which 100 and 50 images of each class are taken
#   SQUEEZENET  SqueezeNet 1.1, .safetensors with torchvision's names
#   RESNET50    ResNet-50 v1 of Keras as far as conv4, .h5
# BUILD: the build folder (default build). ROWS: rows, or how they begin, one a line (default all). Takes some six
# hours on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
images=$1 squeezenet=$2 resnet50=$3
PYTHON=${PYTHON:-python3} BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readarray -t rows < <(printf %s "${ROWS:-}")

"$BUILD/graft" convert "$resnet50" "$work/trunk.h5" --model resnet50_v1 --until layer3 --partial
$PYTHON bench/thin_folder.py "$images/flowers5" "$work/flowers5" --train 100 --val 50 \
  --lists "$images/flowers5_train.txt" "$images/flowers5_val.txt"

table() { # weights, where the last stage begins
  $PYTHON bench/recipe_table.py --graft "$BUILD/graft" --weights "$1" --last "$2" --seeds 0 1 2 \
    --data "hymenoptera=$images/hymenoptera" "mri_small=$images/mri_small" "flowers5=$work/flowers5" \
    ${rows[0]:+--rows "${rows[@]}"}
}
printf '\nSqueezeNet 1.1\n\n'
table "$squeezenet" features.11
printf '\nResNet-50 v1 to layer3\n\n'
table "$work/trunk.h5" layer3
