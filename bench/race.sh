#!/usr/bin/env bash
# The races against PyTorch in bench/RESULTS.md, on a quiet machine: bench/race.sh WEIGHTS DATA [IMAGES]
#   WEIGHTS  a folder of .safetensors with torchvision's names: squeezenet1_1, and resnet18 and resnet50 where
#            they are there
#   DATA     a folder of photographs with train/ and val/
#   IMAGES   JPEG files in a folder, for the decoding race (optional)
# PYTHON: a python3 that imports torch and torchvision. BUILD: the build folder (default build).
# Recipes are compared by bench/recipes.sh, kernels on a GPU by bench/gpu.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
weights=$1 data=$2 images=${3:-}
PYTHON=${PYTHON:-python3} BUILD=${BUILD:-build}

turns() { # model batch mode rounds
  $PYTHON bench/model_race.py --build "$BUILD" --model "$1" --batch "$2" --mode "$3" --rounds "$4"
}
from_start() { # model regime epochs options...
  local model=$1 regime=$2 epochs=$3
  shift 3
  [ -f "$weights/$model.safetensors" ] || { echo "$model: no weights, left out"; return; }
  $PYTHON bench/transfer_race.py --graft "$BUILD/graft" --model "$model" --weights "$weights/$model.safetensors" \
    --data "$data" --regime "$regime" --epochs "$epochs" "$@"
}
turns resnet50 32 infer 10
turns resnet50 32 infer-bf16 10
turns vgg16 32 infer 6
turns resnet18 32 infer 10
turns resnet50 32 train 5
turns resnet18 32 train 5
for model in resnet18 resnet50 resnet152 vgg16; do turns "$model" 32 head 6; done  # speed, memory and depth
from_start squeezenet1_1 head 10
from_start squeezenet1_1 last 5
from_start squeezenet1_1 all 5
for model in squeezenet1_1 resnet18 resnet50; do
  from_start "$model" head 10 --no-augment
  from_start "$model" head 10 --no-augment --extra --cache off
done
from_start resnet18 last 5 --seeds 0 1
from_start resnet50 last 5 --seeds 0 1
from_start resnet50 last 5 --seeds 0 1 --extra --trunk-precision bf16
[ -z "$images" ] || $PYTHON bench/decode_race.py "$BUILD/decode_bench" "$images"
