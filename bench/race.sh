#!/usr/bin/env bash
# The races against PyTorch in bench/RESULTS.md, on a quiet machine: bench/race.sh WEIGHTS DATA [IMAGES]
#   WEIGHTS  a folder of .safetensors with torchvision's names: squeezenet1_1, and resnet18 and resnet50 where
#            they are there; trunks that end with layer3: resnet18_layer3.safetensors, and of Keras's v1
#            resnet50_v1_layer3.h5 with a .safetensors beside it (graft convert makes both)
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
trunk() { # model, file in the folder, regime epochs options...
  local model=$1 file=$weights/$2 regime=$3 epochs=$4
  shift 4
  [ -f "$file" ] || { echo "$file: no such weights, left out"; return; }
  $PYTHON bench/transfer_race.py --graft "$BUILD/graft" --model "$model" --weights "$file" --until layer3 \
    --partial --data "$data" --regime "$regime" --epochs "$epochs" "$@"
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
for of in "resnet18 resnet18_layer3.safetensors" "resnet50_v1 resnet50_v1_layer3.h5"; do
  trunk $of head 10 --no-augment
  trunk $of head 10 --no-augment --seeds 0 --extra --cache off
  trunk $of last 5
done
[ -z "$images" ] || $PYTHON bench/decode_race.py "$BUILD/decode_bench" "$images"
