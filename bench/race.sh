#!/usr/bin/env bash
# Every end-to-end race of bench/RESULTS.md, on a quiet machine: bench/race.sh WEIGHTS DATA [IMAGES]
#   WEIGHTS  SqueezeNet 1.1, .safetensors with torchvision's names
#   DATA     a folder of photographs with train/ and val/
#   IMAGES   JPEG files in a folder, for the decoding race (optional)
# PYTHON: a python3 that imports torch and torchvision. BUILD: the build folder (default build).
set -euo pipefail
cd "$(dirname "$0")/.."
weights=$1 data=$2 images=${3:-}
PYTHON=${PYTHON:-python3} BUILD=${BUILD:-build}

turns() { # model batch mode rounds
  $PYTHON bench/model_race.py --build "$BUILD" --model "$1" --batch "$2" --mode "$3" --rounds "$4"
}
turns resnet50 32 infer 10
turns vgg16 32 infer 6
turns resnet18 32 infer 10
turns resnet50 32 train 5
turns resnet18 32 train 5
turns resnet50 32 head 6
turns resnet152 16 head 3
for regime in head last all; do
  $PYTHON bench/transfer_race.py --graft "$BUILD/graft" --model squeezenet1_1 --weights "$weights" \
    --data "$data" --regime $regime --epochs "$([ $regime = head ] && echo 10 || echo 5)" --seeds 0 1 2
done
[ -z "$images" ] || $PYTHON bench/decode_race.py "$BUILD/decode_bench" "$images"
