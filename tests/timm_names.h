// Tensors of timm's networks with their shapes, as timm 1.0 names them. A line with one number only,
// "bn1 64", stands for the five tensors of a batch norm; blocks.[0-3] for four blocks with the same.
#pragma once

namespace graft::tests {

struct TimmNames {
  const char* timm;   // name of the network in timm
  const char* row;    // of the zoo, with the same tensors
  const char* names;
};

inline const TimmNames kTimmNames[] = {
    {"vgg11_bn", "vgg11_bn", R"(
features.0.weight 64 3 3 3
features.0.bias 64
features.1 64
features.4.weight 128 64 3 3
features.4.bias 128
features.5 128
features.8.weight 256 128 3 3
features.8.bias 256
features.9 256
features.11.weight 256 256 3 3
features.11.bias 256
features.12 256
features.15.weight 512 256 3 3
features.15.bias 512
features.16 512
features.18.weight 512 512 3 3
features.18.bias 512
features.19 512
features.22.weight 512 512 3 3
features.22.bias 512
features.23 512
features.25.weight 512 512 3 3
features.25.bias 512
features.26 512
pre_logits.fc1.weight 4096 512 7 7
pre_logits.fc1.bias 4096
pre_logits.fc2.weight 4096 4096 1 1
pre_logits.fc2.bias 4096
head.fc.weight 1000 4096
head.fc.bias 1000
)"},
    {"mobilenetv2_100", "mobilenet_v2", R"(
conv_stem.weight 32 3 3 3
bn1 32
blocks.0.0.conv_dw.weight 32 1 3 3
blocks.0.0.bn1 32
blocks.0.0.conv_pw.weight 16 32 1 1
blocks.0.0.bn2 16
blocks.1.0.conv_pw.weight 96 16 1 1
blocks.1.0.bn1 96
blocks.1.0.conv_dw.weight 96 1 3 3
blocks.1.0.bn2 96
blocks.1.0.conv_pwl.weight 24 96 1 1
blocks.1.0.bn3 24
blocks.1.1.conv_pw.weight 144 24 1 1
blocks.1.1.bn1 144
blocks.1.1.conv_dw.weight 144 1 3 3
blocks.1.1.bn2 144
blocks.1.1.conv_pwl.weight 24 144 1 1
blocks.1.1.bn3 24
blocks.2.0.conv_pw.weight 144 24 1 1
blocks.2.0.bn1 144
blocks.2.0.conv_dw.weight 144 1 3 3
blocks.2.0.bn2 144
blocks.2.0.conv_pwl.weight 32 144 1 1
blocks.2.0.bn3 32
blocks.2.[1-2].conv_pw.weight 192 32 1 1
blocks.2.[1-2].bn1 192
blocks.2.[1-2].conv_dw.weight 192 1 3 3
blocks.2.[1-2].bn2 192
blocks.2.[1-2].conv_pwl.weight 32 192 1 1
blocks.2.[1-2].bn3 32
blocks.3.0.conv_pw.weight 192 32 1 1
blocks.3.0.bn1 192
blocks.3.0.conv_dw.weight 192 1 3 3
blocks.3.0.bn2 192
blocks.3.0.conv_pwl.weight 64 192 1 1
blocks.3.0.bn3 64
blocks.3.[1-3].conv_pw.weight 384 64 1 1
blocks.3.[1-3].bn1 384
blocks.3.[1-3].conv_dw.weight 384 1 3 3
blocks.3.[1-3].bn2 384
blocks.3.[1-3].conv_pwl.weight 64 384 1 1
blocks.3.[1-3].bn3 64
blocks.4.0.conv_pw.weight 384 64 1 1
blocks.4.0.bn1 384
blocks.4.0.conv_dw.weight 384 1 3 3
blocks.4.0.bn2 384
blocks.4.0.conv_pwl.weight 96 384 1 1
blocks.4.0.bn3 96
blocks.4.[1-2].conv_pw.weight 576 96 1 1
blocks.4.[1-2].bn1 576
blocks.4.[1-2].conv_dw.weight 576 1 3 3
blocks.4.[1-2].bn2 576
blocks.4.[1-2].conv_pwl.weight 96 576 1 1
blocks.4.[1-2].bn3 96
blocks.5.0.conv_pw.weight 576 96 1 1
blocks.5.0.bn1 576
blocks.5.0.conv_dw.weight 576 1 3 3
blocks.5.0.bn2 576
blocks.5.0.conv_pwl.weight 160 576 1 1
blocks.5.0.bn3 160
blocks.5.[1-2].conv_pw.weight 960 160 1 1
blocks.5.[1-2].bn1 960
blocks.5.[1-2].conv_dw.weight 960 1 3 3
blocks.5.[1-2].bn2 960
blocks.5.[1-2].conv_pwl.weight 160 960 1 1
blocks.5.[1-2].bn3 160
blocks.6.0.conv_pw.weight 960 160 1 1
blocks.6.0.bn1 960
blocks.6.0.conv_dw.weight 960 1 3 3
blocks.6.0.bn2 960
blocks.6.0.conv_pwl.weight 320 960 1 1
blocks.6.0.bn3 320
conv_head.weight 1280 320 1 1
bn2 1280
classifier.weight 1000 1280
classifier.bias 1000
)"},
    {"mobilenetv3_small_100", "mobilenet_v3_small", R"(
conv_stem.weight 16 3 3 3
bn1 16
blocks.0.0.conv_dw.weight 16 1 3 3
blocks.0.0.bn1 16
blocks.0.0.se.conv_reduce.weight 8 16 1 1
blocks.0.0.se.conv_reduce.bias 8
blocks.0.0.se.conv_expand.weight 16 8 1 1
blocks.0.0.se.conv_expand.bias 16
blocks.0.0.conv_pw.weight 16 16 1 1
blocks.0.0.bn2 16
blocks.1.0.conv_pw.weight 72 16 1 1
blocks.1.0.bn1 72
blocks.1.0.conv_dw.weight 72 1 3 3
blocks.1.0.bn2 72
blocks.1.0.conv_pwl.weight 24 72 1 1
blocks.1.0.bn3 24
blocks.1.1.conv_pw.weight 88 24 1 1
blocks.1.1.bn1 88
blocks.1.1.conv_dw.weight 88 1 3 3
blocks.1.1.bn2 88
blocks.1.1.conv_pwl.weight 24 88 1 1
blocks.1.1.bn3 24
blocks.2.0.conv_pw.weight 96 24 1 1
blocks.2.0.bn1 96
blocks.2.0.conv_dw.weight 96 1 5 5
blocks.2.0.bn2 96
blocks.2.0.se.conv_reduce.weight 24 96 1 1
blocks.2.0.se.conv_reduce.bias 24
blocks.2.0.se.conv_expand.weight 96 24 1 1
blocks.2.0.se.conv_expand.bias 96
blocks.2.0.conv_pwl.weight 40 96 1 1
blocks.2.0.bn3 40
blocks.2.[1-2].conv_pw.weight 240 40 1 1
blocks.2.[1-2].bn1 240
blocks.2.[1-2].conv_dw.weight 240 1 5 5
blocks.2.[1-2].bn2 240
blocks.2.[1-2].se.conv_reduce.weight 64 240 1 1
blocks.2.[1-2].se.conv_reduce.bias 64
blocks.2.[1-2].se.conv_expand.weight 240 64 1 1
blocks.2.[1-2].se.conv_expand.bias 240
blocks.2.[1-2].conv_pwl.weight 40 240 1 1
blocks.2.[1-2].bn3 40
blocks.3.0.conv_pw.weight 120 40 1 1
blocks.3.0.bn1 120
blocks.3.0.conv_dw.weight 120 1 5 5
blocks.3.0.bn2 120
blocks.3.0.se.conv_reduce.weight 32 120 1 1
blocks.3.0.se.conv_reduce.bias 32
blocks.3.0.se.conv_expand.weight 120 32 1 1
blocks.3.0.se.conv_expand.bias 120
blocks.3.0.conv_pwl.weight 48 120 1 1
blocks.3.0.bn3 48
blocks.3.1.conv_pw.weight 144 48 1 1
blocks.3.1.bn1 144
blocks.3.1.conv_dw.weight 144 1 5 5
blocks.3.1.bn2 144
blocks.3.1.se.conv_reduce.weight 40 144 1 1
blocks.3.1.se.conv_reduce.bias 40
blocks.3.1.se.conv_expand.weight 144 40 1 1
blocks.3.1.se.conv_expand.bias 144
blocks.3.1.conv_pwl.weight 48 144 1 1
blocks.3.1.bn3 48
blocks.4.0.conv_pw.weight 288 48 1 1
blocks.4.0.bn1 288
blocks.4.0.conv_dw.weight 288 1 5 5
blocks.4.0.bn2 288
blocks.4.0.se.conv_reduce.weight 72 288 1 1
blocks.4.0.se.conv_reduce.bias 72
blocks.4.0.se.conv_expand.weight 288 72 1 1
blocks.4.0.se.conv_expand.bias 288
blocks.4.0.conv_pwl.weight 96 288 1 1
blocks.4.0.bn3 96
blocks.4.[1-2].conv_pw.weight 576 96 1 1
blocks.4.[1-2].bn1 576
blocks.4.[1-2].conv_dw.weight 576 1 5 5
blocks.4.[1-2].bn2 576
blocks.4.[1-2].se.conv_reduce.weight 144 576 1 1
blocks.4.[1-2].se.conv_reduce.bias 144
blocks.4.[1-2].se.conv_expand.weight 576 144 1 1
blocks.4.[1-2].se.conv_expand.bias 576
blocks.4.[1-2].conv_pwl.weight 96 576 1 1
blocks.4.[1-2].bn3 96
blocks.5.0.conv.weight 576 96 1 1
blocks.5.0.bn1 576
conv_head.weight 1024 576 1 1
conv_head.bias 1024
classifier.weight 1000 1024
classifier.bias 1000
)"},
    {"mnasnet_050", "mnasnet0_5", R"(
conv_stem.weight 16 3 3 3
bn1 16
blocks.0.0.conv_dw.weight 16 1 3 3
blocks.0.0.bn1 16
blocks.0.0.conv_pw.weight 8 16 1 1
blocks.0.0.bn2 8
blocks.1.0.conv_pw.weight 24 8 1 1
blocks.1.0.bn1 24
blocks.1.0.conv_dw.weight 24 1 3 3
blocks.1.0.bn2 24
blocks.1.0.conv_pwl.weight 16 24 1 1
blocks.1.0.bn3 16
blocks.1.[1-2].conv_pw.weight 48 16 1 1
blocks.1.[1-2].bn1 48
blocks.1.[1-2].conv_dw.weight 48 1 3 3
blocks.1.[1-2].bn2 48
blocks.1.[1-2].conv_pwl.weight 16 48 1 1
blocks.1.[1-2].bn3 16
blocks.2.0.conv_pw.weight 48 16 1 1
blocks.2.0.bn1 48
blocks.2.0.conv_dw.weight 48 1 5 5
blocks.2.0.bn2 48
blocks.2.0.conv_pwl.weight 24 48 1 1
blocks.2.0.bn3 24
blocks.2.[1-2].conv_pw.weight 72 24 1 1
blocks.2.[1-2].bn1 72
blocks.2.[1-2].conv_dw.weight 72 1 5 5
blocks.2.[1-2].bn2 72
blocks.2.[1-2].conv_pwl.weight 24 72 1 1
blocks.2.[1-2].bn3 24
blocks.3.0.conv_pw.weight 144 24 1 1
blocks.3.0.bn1 144
blocks.3.0.conv_dw.weight 144 1 5 5
blocks.3.0.bn2 144
blocks.3.0.conv_pwl.weight 40 144 1 1
blocks.3.0.bn3 40
blocks.3.[1-2].conv_pw.weight 240 40 1 1
blocks.3.[1-2].bn1 240
blocks.3.[1-2].conv_dw.weight 240 1 5 5
blocks.3.[1-2].bn2 240
blocks.3.[1-2].conv_pwl.weight 40 240 1 1
blocks.3.[1-2].bn3 40
blocks.4.0.conv_pw.weight 240 40 1 1
blocks.4.0.bn1 240
blocks.4.0.conv_dw.weight 240 1 3 3
blocks.4.0.bn2 240
blocks.4.0.conv_pwl.weight 48 240 1 1
blocks.4.0.bn3 48
blocks.4.1.conv_pw.weight 288 48 1 1
blocks.4.1.bn1 288
blocks.4.1.conv_dw.weight 288 1 3 3
blocks.4.1.bn2 288
blocks.4.1.conv_pwl.weight 48 288 1 1
blocks.4.1.bn3 48
blocks.5.0.conv_pw.weight 288 48 1 1
blocks.5.0.bn1 288
blocks.5.0.conv_dw.weight 288 1 5 5
blocks.5.0.bn2 288
blocks.5.0.conv_pwl.weight 96 288 1 1
blocks.5.0.bn3 96
blocks.5.[1-3].conv_pw.weight 576 96 1 1
blocks.5.[1-3].bn1 576
blocks.5.[1-3].conv_dw.weight 576 1 5 5
blocks.5.[1-3].bn2 576
blocks.5.[1-3].conv_pwl.weight 96 576 1 1
blocks.5.[1-3].bn3 96
blocks.6.0.conv_pw.weight 576 96 1 1
blocks.6.0.bn1 576
blocks.6.0.conv_dw.weight 576 1 3 3
blocks.6.0.bn2 576
blocks.6.0.conv_pwl.weight 160 576 1 1
blocks.6.0.bn3 160
conv_head.weight 1280 160 1 1
bn2 1280
classifier.weight 1000 1280
classifier.bias 1000
)"},
    {"efficientnet_b0", "efficientnet_b0", R"(
conv_stem.weight 32 3 3 3
bn1 32
blocks.0.0.conv_dw.weight 32 1 3 3
blocks.0.0.bn1 32
blocks.0.0.se.conv_reduce.weight 8 32 1 1
blocks.0.0.se.conv_reduce.bias 8
blocks.0.0.se.conv_expand.weight 32 8 1 1
blocks.0.0.se.conv_expand.bias 32
blocks.0.0.conv_pw.weight 16 32 1 1
blocks.0.0.bn2 16
blocks.1.0.conv_pw.weight 96 16 1 1
blocks.1.0.bn1 96
blocks.1.0.conv_dw.weight 96 1 3 3
blocks.1.0.bn2 96
blocks.1.0.se.conv_reduce.weight 4 96 1 1
blocks.1.0.se.conv_reduce.bias 4
blocks.1.0.se.conv_expand.weight 96 4 1 1
blocks.1.0.se.conv_expand.bias 96
blocks.1.0.conv_pwl.weight 24 96 1 1
blocks.1.0.bn3 24
blocks.1.1.conv_pw.weight 144 24 1 1
blocks.1.1.bn1 144
blocks.1.1.conv_dw.weight 144 1 3 3
blocks.1.1.bn2 144
blocks.1.1.se.conv_reduce.weight 6 144 1 1
blocks.1.1.se.conv_reduce.bias 6
blocks.1.1.se.conv_expand.weight 144 6 1 1
blocks.1.1.se.conv_expand.bias 144
blocks.1.1.conv_pwl.weight 24 144 1 1
blocks.1.1.bn3 24
blocks.2.0.conv_pw.weight 144 24 1 1
blocks.2.0.bn1 144
blocks.2.0.conv_dw.weight 144 1 5 5
blocks.2.0.bn2 144
blocks.2.0.se.conv_reduce.weight 6 144 1 1
blocks.2.0.se.conv_reduce.bias 6
blocks.2.0.se.conv_expand.weight 144 6 1 1
blocks.2.0.se.conv_expand.bias 144
blocks.2.0.conv_pwl.weight 40 144 1 1
blocks.2.0.bn3 40
blocks.2.1.conv_pw.weight 240 40 1 1
blocks.2.1.bn1 240
blocks.2.1.conv_dw.weight 240 1 5 5
blocks.2.1.bn2 240
blocks.2.1.se.conv_reduce.weight 10 240 1 1
blocks.2.1.se.conv_reduce.bias 10
blocks.2.1.se.conv_expand.weight 240 10 1 1
blocks.2.1.se.conv_expand.bias 240
blocks.2.1.conv_pwl.weight 40 240 1 1
blocks.2.1.bn3 40
blocks.3.0.conv_pw.weight 240 40 1 1
blocks.3.0.bn1 240
blocks.3.0.conv_dw.weight 240 1 3 3
blocks.3.0.bn2 240
blocks.3.0.se.conv_reduce.weight 10 240 1 1
blocks.3.0.se.conv_reduce.bias 10
blocks.3.0.se.conv_expand.weight 240 10 1 1
blocks.3.0.se.conv_expand.bias 240
blocks.3.0.conv_pwl.weight 80 240 1 1
blocks.3.0.bn3 80
blocks.3.[1-2].conv_pw.weight 480 80 1 1
blocks.3.[1-2].bn1 480
blocks.3.[1-2].conv_dw.weight 480 1 3 3
blocks.3.[1-2].bn2 480
blocks.3.[1-2].se.conv_reduce.weight 20 480 1 1
blocks.3.[1-2].se.conv_reduce.bias 20
blocks.3.[1-2].se.conv_expand.weight 480 20 1 1
blocks.3.[1-2].se.conv_expand.bias 480
blocks.3.[1-2].conv_pwl.weight 80 480 1 1
blocks.3.[1-2].bn3 80
blocks.4.0.conv_pw.weight 480 80 1 1
blocks.4.0.bn1 480
blocks.4.0.conv_dw.weight 480 1 5 5
blocks.4.0.bn2 480
blocks.4.0.se.conv_reduce.weight 20 480 1 1
blocks.4.0.se.conv_reduce.bias 20
blocks.4.0.se.conv_expand.weight 480 20 1 1
blocks.4.0.se.conv_expand.bias 480
blocks.4.0.conv_pwl.weight 112 480 1 1
blocks.4.0.bn3 112
blocks.4.[1-2].conv_pw.weight 672 112 1 1
blocks.4.[1-2].bn1 672
blocks.4.[1-2].conv_dw.weight 672 1 5 5
blocks.4.[1-2].bn2 672
blocks.4.[1-2].se.conv_reduce.weight 28 672 1 1
blocks.4.[1-2].se.conv_reduce.bias 28
blocks.4.[1-2].se.conv_expand.weight 672 28 1 1
blocks.4.[1-2].se.conv_expand.bias 672
blocks.4.[1-2].conv_pwl.weight 112 672 1 1
blocks.4.[1-2].bn3 112
blocks.5.0.conv_pw.weight 672 112 1 1
blocks.5.0.bn1 672
blocks.5.0.conv_dw.weight 672 1 5 5
blocks.5.0.bn2 672
blocks.5.0.se.conv_reduce.weight 28 672 1 1
blocks.5.0.se.conv_reduce.bias 28
blocks.5.0.se.conv_expand.weight 672 28 1 1
blocks.5.0.se.conv_expand.bias 672
blocks.5.0.conv_pwl.weight 192 672 1 1
blocks.5.0.bn3 192
blocks.5.[1-3].conv_pw.weight 1152 192 1 1
blocks.5.[1-3].bn1 1152
blocks.5.[1-3].conv_dw.weight 1152 1 5 5
blocks.5.[1-3].bn2 1152
blocks.5.[1-3].se.conv_reduce.weight 48 1152 1 1
blocks.5.[1-3].se.conv_reduce.bias 48
blocks.5.[1-3].se.conv_expand.weight 1152 48 1 1
blocks.5.[1-3].se.conv_expand.bias 1152
blocks.5.[1-3].conv_pwl.weight 192 1152 1 1
blocks.5.[1-3].bn3 192
blocks.6.0.conv_pw.weight 1152 192 1 1
blocks.6.0.bn1 1152
blocks.6.0.conv_dw.weight 1152 1 3 3
blocks.6.0.bn2 1152
blocks.6.0.se.conv_reduce.weight 48 1152 1 1
blocks.6.0.se.conv_reduce.bias 48
blocks.6.0.se.conv_expand.weight 1152 48 1 1
blocks.6.0.se.conv_expand.bias 1152
blocks.6.0.conv_pwl.weight 320 1152 1 1
blocks.6.0.bn3 320
conv_head.weight 1280 320 1 1
bn2 1280
classifier.weight 1000 1280
classifier.bias 1000
)"},
    {"efficientnetv2_s", "efficientnet_v2_s", R"(
conv_stem.weight 24 3 3 3
bn1 24
blocks.0.[0-1].conv.weight 24 24 3 3
blocks.0.[0-1].bn1 24
blocks.1.0.conv_exp.weight 96 24 3 3
blocks.1.0.bn1 96
blocks.1.0.conv_pwl.weight 48 96 1 1
blocks.1.0.bn2 48
blocks.1.[1-3].conv_exp.weight 192 48 3 3
blocks.1.[1-3].bn1 192
blocks.1.[1-3].conv_pwl.weight 48 192 1 1
blocks.1.[1-3].bn2 48
blocks.2.0.conv_exp.weight 192 48 3 3
blocks.2.0.bn1 192
blocks.2.0.conv_pwl.weight 64 192 1 1
blocks.2.0.bn2 64
blocks.2.[1-3].conv_exp.weight 256 64 3 3
blocks.2.[1-3].bn1 256
blocks.2.[1-3].conv_pwl.weight 64 256 1 1
blocks.2.[1-3].bn2 64
blocks.3.0.conv_pw.weight 256 64 1 1
blocks.3.0.bn1 256
blocks.3.0.conv_dw.weight 256 1 3 3
blocks.3.0.bn2 256
blocks.3.0.se.conv_reduce.weight 16 256 1 1
blocks.3.0.se.conv_reduce.bias 16
blocks.3.0.se.conv_expand.weight 256 16 1 1
blocks.3.0.se.conv_expand.bias 256
blocks.3.0.conv_pwl.weight 128 256 1 1
blocks.3.0.bn3 128
blocks.3.[1-5].conv_pw.weight 512 128 1 1
blocks.3.[1-5].bn1 512
blocks.3.[1-5].conv_dw.weight 512 1 3 3
blocks.3.[1-5].bn2 512
blocks.3.[1-5].se.conv_reduce.weight 32 512 1 1
blocks.3.[1-5].se.conv_reduce.bias 32
blocks.3.[1-5].se.conv_expand.weight 512 32 1 1
blocks.3.[1-5].se.conv_expand.bias 512
blocks.3.[1-5].conv_pwl.weight 128 512 1 1
blocks.3.[1-5].bn3 128
blocks.4.0.conv_pw.weight 768 128 1 1
blocks.4.0.bn1 768
blocks.4.0.conv_dw.weight 768 1 3 3
blocks.4.0.bn2 768
blocks.4.0.se.conv_reduce.weight 32 768 1 1
blocks.4.0.se.conv_reduce.bias 32
blocks.4.0.se.conv_expand.weight 768 32 1 1
blocks.4.0.se.conv_expand.bias 768
blocks.4.0.conv_pwl.weight 160 768 1 1
blocks.4.0.bn3 160
blocks.4.[1-8].conv_pw.weight 960 160 1 1
blocks.4.[1-8].bn1 960
blocks.4.[1-8].conv_dw.weight 960 1 3 3
blocks.4.[1-8].bn2 960
blocks.4.[1-8].se.conv_reduce.weight 40 960 1 1
blocks.4.[1-8].se.conv_reduce.bias 40
blocks.4.[1-8].se.conv_expand.weight 960 40 1 1
blocks.4.[1-8].se.conv_expand.bias 960
blocks.4.[1-8].conv_pwl.weight 160 960 1 1
blocks.4.[1-8].bn3 160
blocks.5.0.conv_pw.weight 960 160 1 1
blocks.5.0.bn1 960
blocks.5.0.conv_dw.weight 960 1 3 3
blocks.5.0.bn2 960
blocks.5.0.se.conv_reduce.weight 40 960 1 1
blocks.5.0.se.conv_reduce.bias 40
blocks.5.0.se.conv_expand.weight 960 40 1 1
blocks.5.0.se.conv_expand.bias 960
blocks.5.0.conv_pwl.weight 256 960 1 1
blocks.5.0.bn3 256
blocks.5.[1-14].conv_pw.weight 1536 256 1 1
blocks.5.[1-14].bn1 1536
blocks.5.[1-14].conv_dw.weight 1536 1 3 3
blocks.5.[1-14].bn2 1536
blocks.5.[1-14].se.conv_reduce.weight 64 1536 1 1
blocks.5.[1-14].se.conv_reduce.bias 64
blocks.5.[1-14].se.conv_expand.weight 1536 64 1 1
blocks.5.[1-14].se.conv_expand.bias 1536
blocks.5.[1-14].conv_pwl.weight 256 1536 1 1
blocks.5.[1-14].bn3 256
conv_head.weight 1280 256 1 1
bn2 1280
classifier.weight 1000 1280
classifier.bias 1000
)"},
    {"regnety_004", "regnet_y_400mf", R"(
stem.conv.weight 32 3 3 3
stem.bn 32
s1.b1.conv1.conv.weight 48 32 1 1
s1.b1.conv1.bn 48
s1.b1.conv2.conv.weight 48 8 3 3
s1.b1.conv2.bn 48
s1.b1.se.fc1.weight 8 48 1 1
s1.b1.se.fc1.bias 8
s1.b1.se.fc2.weight 48 8 1 1
s1.b1.se.fc2.bias 48
s1.b1.conv3.conv.weight 48 48 1 1
s1.b1.conv3.bn 48
s1.b1.downsample.conv.weight 48 32 1 1
s1.b1.downsample.bn 48
s2.b1.conv1.conv.weight 104 48 1 1
s2.b1.conv1.bn 104
s2.b1.conv2.conv.weight 104 8 3 3
s2.b1.conv2.bn 104
s2.b1.se.fc1.weight 12 104 1 1
s2.b1.se.fc1.bias 12
s2.b1.se.fc2.weight 104 12 1 1
s2.b1.se.fc2.bias 104
s2.b1.conv3.conv.weight 104 104 1 1
s2.b1.conv3.bn 104
s2.b1.downsample.conv.weight 104 48 1 1
s2.b1.downsample.bn 104
s2.b[2-3].conv1.conv.weight 104 104 1 1
s2.b[2-3].conv1.bn 104
s2.b[2-3].conv2.conv.weight 104 8 3 3
s2.b[2-3].conv2.bn 104
s2.b[2-3].se.fc1.weight 26 104 1 1
s2.b[2-3].se.fc1.bias 26
s2.b[2-3].se.fc2.weight 104 26 1 1
s2.b[2-3].se.fc2.bias 104
s2.b[2-3].conv3.conv.weight 104 104 1 1
s2.b[2-3].conv3.bn 104
s3.b1.conv1.conv.weight 208 104 1 1
s3.b1.conv1.bn 208
s3.b1.conv2.conv.weight 208 8 3 3
s3.b1.conv2.bn 208
s3.b1.se.fc1.weight 26 208 1 1
s3.b1.se.fc1.bias 26
s3.b1.se.fc2.weight 208 26 1 1
s3.b1.se.fc2.bias 208
s3.b1.conv3.conv.weight 208 208 1 1
s3.b1.conv3.bn 208
s3.b1.downsample.conv.weight 208 104 1 1
s3.b1.downsample.bn 208
s3.b[2-6].conv1.conv.weight 208 208 1 1
s3.b[2-6].conv1.bn 208
s3.b[2-6].conv2.conv.weight 208 8 3 3
s3.b[2-6].conv2.bn 208
s3.b[2-6].se.fc1.weight 52 208 1 1
s3.b[2-6].se.fc1.bias 52
s3.b[2-6].se.fc2.weight 208 52 1 1
s3.b[2-6].se.fc2.bias 208
s3.b[2-6].conv3.conv.weight 208 208 1 1
s3.b[2-6].conv3.bn 208
s4.b1.conv1.conv.weight 440 208 1 1
s4.b1.conv1.bn 440
s4.b1.conv2.conv.weight 440 8 3 3
s4.b1.conv2.bn 440
s4.b1.se.fc1.weight 52 440 1 1
s4.b1.se.fc1.bias 52
s4.b1.se.fc2.weight 440 52 1 1
s4.b1.se.fc2.bias 440
s4.b1.conv3.conv.weight 440 440 1 1
s4.b1.conv3.bn 440
s4.b1.downsample.conv.weight 440 208 1 1
s4.b1.downsample.bn 440
s4.b[2-6].conv1.conv.weight 440 440 1 1
s4.b[2-6].conv1.bn 440
s4.b[2-6].conv2.conv.weight 440 8 3 3
s4.b[2-6].conv2.bn 440
s4.b[2-6].se.fc1.weight 110 440 1 1
s4.b[2-6].se.fc1.bias 110
s4.b[2-6].se.fc2.weight 440 110 1 1
s4.b[2-6].se.fc2.bias 440
s4.b[2-6].conv3.conv.weight 440 440 1 1
s4.b[2-6].conv3.bn 440
head.fc.weight 1000 440
head.fc.bias 1000
)"},
    {"convnext_tiny", "convnext_tiny", R"(
stem.0.weight 96 3 4 4
stem.0.bias 96
stem.1.weight 96
stem.1.bias 96
stages.0.blocks.[0-2].gamma 96
stages.0.blocks.[0-2].conv_dw.weight 96 1 7 7
stages.0.blocks.[0-2].conv_dw.bias 96
stages.0.blocks.[0-2].norm.weight 96
stages.0.blocks.[0-2].norm.bias 96
stages.0.blocks.[0-2].mlp.fc1.weight 384 96
stages.0.blocks.[0-2].mlp.fc1.bias 384
stages.0.blocks.[0-2].mlp.fc2.weight 96 384
stages.0.blocks.[0-2].mlp.fc2.bias 96
stages.1.downsample.0.weight 96
stages.1.downsample.0.bias 96
stages.1.downsample.1.weight 192 96 2 2
stages.1.downsample.1.bias 192
stages.1.blocks.[0-2].gamma 192
stages.1.blocks.[0-2].conv_dw.weight 192 1 7 7
stages.1.blocks.[0-2].conv_dw.bias 192
stages.1.blocks.[0-2].norm.weight 192
stages.1.blocks.[0-2].norm.bias 192
stages.1.blocks.[0-2].mlp.fc1.weight 768 192
stages.1.blocks.[0-2].mlp.fc1.bias 768
stages.1.blocks.[0-2].mlp.fc2.weight 192 768
stages.1.blocks.[0-2].mlp.fc2.bias 192
stages.2.downsample.0.weight 192
stages.2.downsample.0.bias 192
stages.2.downsample.1.weight 384 192 2 2
stages.2.downsample.1.bias 384
stages.2.blocks.[0-8].gamma 384
stages.2.blocks.[0-8].conv_dw.weight 384 1 7 7
stages.2.blocks.[0-8].conv_dw.bias 384
stages.2.blocks.[0-8].norm.weight 384
stages.2.blocks.[0-8].norm.bias 384
stages.2.blocks.[0-8].mlp.fc1.weight 1536 384
stages.2.blocks.[0-8].mlp.fc1.bias 1536
stages.2.blocks.[0-8].mlp.fc2.weight 384 1536
stages.2.blocks.[0-8].mlp.fc2.bias 384
stages.3.downsample.0.weight 384
stages.3.downsample.0.bias 384
stages.3.downsample.1.weight 768 384 2 2
stages.3.downsample.1.bias 768
stages.3.blocks.[0-2].gamma 768
stages.3.blocks.[0-2].conv_dw.weight 768 1 7 7
stages.3.blocks.[0-2].conv_dw.bias 768
stages.3.blocks.[0-2].norm.weight 768
stages.3.blocks.[0-2].norm.bias 768
stages.3.blocks.[0-2].mlp.fc1.weight 3072 768
stages.3.blocks.[0-2].mlp.fc1.bias 3072
stages.3.blocks.[0-2].mlp.fc2.weight 768 3072
stages.3.blocks.[0-2].mlp.fc2.bias 768
head.norm.weight 768
head.norm.bias 768
head.fc.weight 1000 768
head.fc.bias 1000
)"},
    {"vit_base_patch32_224", "vit_b_32", R"(
cls_token 1 1 768
pos_embed 1 50 768
patch_embed.proj.weight 768 3 32 32
patch_embed.proj.bias 768
blocks.[0-11].norm1.weight 768
blocks.[0-11].norm1.bias 768
blocks.[0-11].attn.qkv.weight 2304 768
blocks.[0-11].attn.qkv.bias 2304
blocks.[0-11].attn.proj.weight 768 768
blocks.[0-11].attn.proj.bias 768
blocks.[0-11].norm2.weight 768
blocks.[0-11].norm2.bias 768
blocks.[0-11].mlp.fc1.weight 3072 768
blocks.[0-11].mlp.fc1.bias 3072
blocks.[0-11].mlp.fc2.weight 768 3072
blocks.[0-11].mlp.fc2.bias 768
norm.weight 768
norm.bias 768
head.weight 1000 768
head.bias 1000
)"},
    {"swin_tiny_patch4_window7_224", "swin_t", R"(
patch_embed.proj.weight 96 3 4 4
patch_embed.proj.bias 96
patch_embed.norm.weight 96
patch_embed.norm.bias 96
layers.0.blocks.[0-1].norm1.weight 96
layers.0.blocks.[0-1].norm1.bias 96
layers.0.blocks.[0-1].attn.relative_position_bias_table 169 3
layers.0.blocks.[0-1].attn.qkv.weight 288 96
layers.0.blocks.[0-1].attn.qkv.bias 288
layers.0.blocks.[0-1].attn.proj.weight 96 96
layers.0.blocks.[0-1].attn.proj.bias 96
layers.0.blocks.[0-1].norm2.weight 96
layers.0.blocks.[0-1].norm2.bias 96
layers.0.blocks.[0-1].mlp.fc1.weight 384 96
layers.0.blocks.[0-1].mlp.fc1.bias 384
layers.0.blocks.[0-1].mlp.fc2.weight 96 384
layers.0.blocks.[0-1].mlp.fc2.bias 96
layers.1.downsample.norm.weight 384
layers.1.downsample.norm.bias 384
layers.1.downsample.reduction.weight 192 384
layers.1.blocks.[0-1].norm1.weight 192
layers.1.blocks.[0-1].norm1.bias 192
layers.1.blocks.[0-1].attn.relative_position_bias_table 169 6
layers.1.blocks.[0-1].attn.qkv.weight 576 192
layers.1.blocks.[0-1].attn.qkv.bias 576
layers.1.blocks.[0-1].attn.proj.weight 192 192
layers.1.blocks.[0-1].attn.proj.bias 192
layers.1.blocks.[0-1].norm2.weight 192
layers.1.blocks.[0-1].norm2.bias 192
layers.1.blocks.[0-1].mlp.fc1.weight 768 192
layers.1.blocks.[0-1].mlp.fc1.bias 768
layers.1.blocks.[0-1].mlp.fc2.weight 192 768
layers.1.blocks.[0-1].mlp.fc2.bias 192
layers.2.downsample.norm.weight 768
layers.2.downsample.norm.bias 768
layers.2.downsample.reduction.weight 384 768
layers.2.blocks.[0-5].norm1.weight 384
layers.2.blocks.[0-5].norm1.bias 384
layers.2.blocks.[0-5].attn.relative_position_bias_table 169 12
layers.2.blocks.[0-5].attn.qkv.weight 1152 384
layers.2.blocks.[0-5].attn.qkv.bias 1152
layers.2.blocks.[0-5].attn.proj.weight 384 384
layers.2.blocks.[0-5].attn.proj.bias 384
layers.2.blocks.[0-5].norm2.weight 384
layers.2.blocks.[0-5].norm2.bias 384
layers.2.blocks.[0-5].mlp.fc1.weight 1536 384
layers.2.blocks.[0-5].mlp.fc1.bias 1536
layers.2.blocks.[0-5].mlp.fc2.weight 384 1536
layers.2.blocks.[0-5].mlp.fc2.bias 384
layers.3.downsample.norm.weight 1536
layers.3.downsample.norm.bias 1536
layers.3.downsample.reduction.weight 768 1536
layers.3.blocks.[0-1].norm1.weight 768
layers.3.blocks.[0-1].norm1.bias 768
layers.3.blocks.[0-1].attn.relative_position_bias_table 169 24
layers.3.blocks.[0-1].attn.qkv.weight 2304 768
layers.3.blocks.[0-1].attn.qkv.bias 2304
layers.3.blocks.[0-1].attn.proj.weight 768 768
layers.3.blocks.[0-1].attn.proj.bias 768
layers.3.blocks.[0-1].norm2.weight 768
layers.3.blocks.[0-1].norm2.bias 768
layers.3.blocks.[0-1].mlp.fc1.weight 3072 768
layers.3.blocks.[0-1].mlp.fc1.bias 3072
layers.3.blocks.[0-1].mlp.fc2.weight 768 3072
layers.3.blocks.[0-1].mlp.fc2.bias 768
norm.weight 768
norm.bias 768
head.fc.weight 1000 768
head.fc.bias 1000
)"},
};

}  // namespace graft::tests
