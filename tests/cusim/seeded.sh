#!/usr/bin/env bash
# Proves that cusim finds bugs in kernels: plants one at a time in a copy of the sources, builds
# seeded.cpp (or another of the seeded_*.cpp) in the way that must see the bug,
# and runs it in three orders; without a bug it must pass in all three ways. A check that has gone blind
# is seen so.   tests/cusim/seeded.sh [BUG...]
# Environment: CXX, CUDA_HEADERS (default /usr/local/cuda/include), JOBS (default: one for each core).
set -euo pipefail
cd "$(dirname "$0")/../.."
CXX=${CXX:-g++} CUDA_HEADERS=${CUDA_HEADERS:-/usr/local/cuda/include} JOBS=${JOBS:-$(nproc)}
[ -f "$CUDA_HEADERS/cuda_bf16.h" ] || { echo "seeded.sh: no CUDA headers in $CUDA_HEADERS, skipped"; exit 0; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

# name | file of kernels/cuda | sed command that plants it | the build that must see it
BUGS='
none                          | gemm_mma.cuh     |                                                            | -
no barrier after the wait     | ring.cuh         | /copy_async_wait<kStages/{n;n;d}                           | race
no barrier after the ring     | ring.cuh         | /the ring is no longer read/d                              | race
no barrier before the sums    | gemm_mma.cuh     | /Block::stage_sums(shared/{n;d}                            | race
divergent barrier             | ring.cuh         | s/__syncthreads();  \/\/ the ring/if (threadIdx.x < 96) &/ | plain
wait for too few copies       | ring.cuh         | s/copy_async_wait<kStages - 2>/copy_async_wait<kStages - 1>/ | plain
copies not in a group         | ring.cuh         | s/^    ptx::copy_async_commit();/    if (step == 0) &/     | plain
ring one place too far        | ring.cuh         | s/start(step + kStages - 1)/start(step + kStages)/         | plain
too little shared memory      | gemm_mma.cuh     | s/sizeof(typename Block::Shared), stream/sizeof(typename Block::Shared) - 16, stream/ | plain
step of another part of k     | gemm_mma.cuh     | s/begin + step \* kStep)/begin + (step + 1) * kStep)/      | plain
fragment of the wrong half    | operand_tile.cuh | s/2 \* block + lane \/ 16/2 * block + 1 - lane \/ 16/      | plain
rows past the end             | operand_tile.cuh | s/row0 + row < rows ? inside : 0/inside/                   | asan
columns past the end          | operand_tile.cuh | s/max(0, min(columns - column, kPerChunk))/kPerChunk/      | asan
tile written past its end     | operand_tile.cuh | s/return (row \* kChunks + chunk)/return (row * kChunks + chunk + 1)/ | asan
no swizzle                    | operand_tile.cuh | s/chunk ^= row \/ 2 % 4;/;/                                | plain
sums staged across each other | gemm_mma.cuh     | s/lane \/ 4 + half \* 8/lane \/ 4 + half * 7/              | race
misaligned vectors            | gemm_block.cuh   | s/kStride = N + 8;/kStride = N + 6;/                       | asan
c past the end of its rows    | gemm_block.cuh   | s/ .. n >= p.n) return/) return/                           | plain
tile computed by two blocks   | gemm_block.cuh   | s/within \/ high \* N/within \/ high * (N - 8)/            | race
f32: rows past the end        | gemm_simt.cuh    | s/depth + d < from.depth ? max/true ? max/                 | asan
none of a convolution         | conv2d_mma.cuh   |                                                            | -
conv: past the right border   | conv2d_operands.cuh | s/unsigned(column\[i\] + right) < unsigned(x.w.size)/true/  | plain
conv: taps never end a row    | conv2d_operands.cuh | s/s = 0, ++r;/++r;/                                       | plain
conv: channels past the filter | conv2d_operands.cuh | s/c < f.c \&\& i/i/                                       | plain
conv: pixels past the last    | conv2d_operands.cuh | s/p < grid.size() \&\& at.r/at.r/                          | plain
conv: phase of another origin | conv2d_geometry.h | s/any ? (phase + pad - dilation \* first) \/ stride/& + 1/ | plain
conv: phases mixed up         | conv2d_block.cuh | s/w = phase_w + at.column/w = phase_h + at.column/         | plain
conv: norm of the padding, too | conv2d_norm.cuh | s/if (here >> i \& 1)/if (true)/                             | plain
conv: norm of other channels  | conv2d_norm.cuh  | /channel += Loader::kChannelStep/d                         | plain
conv: norm of another step    | conv2d_norm.cuh  | s/inside >> (step % kStages/inside >> ((step + 1) % kStages/ | plain
conv: norm after the barrier  | ring.cuh         | /prepare(stages.step/d; s/    start(step + kStages - 1);/& prepare(stages[step % kStages], step);/ | race
conv: moments over the sums   | tile_moments.cuh | /what was in their place is no longer read/d                | race
conv: moments not brought together | tile_moments.cuh | s/2 \* part + n/part + n/                             | plain
conv: moments never counted   | tile_moments.cuh | /parts.count\[group\] = own/d                                  | plain
conv: gradients over the sums | tile_gradients.cuh | /what was in their place is no longer read/d              | race
conv: gradients that do not pass | tile_gradients.cuh | s/passes ? dy\[j\] : 0.0f/dy[j]/                          | plain
conv: gradients of one phase  | conv2d_block.cuh | s/phase \* of_phase + at.m/at.m/                            | plain
none of attention             | attention.cuh    |                                                            | -
attention: sums not shrunk    | attention.cuh    | /sums\[w\]\[0\] \*= shrink/d                                 | plain
attention: keys past the last | attention_block.cuh | s/key >= tokens())/false)/                              | plain
attention: totals of a lane   | attention_backward.cuh | s/1.0f \/ sum_of_row(softmax.total\[half\])/1.0f \/ softmax.total[half]/ | plain
attention: image over image   | attention_backward.cuh | /the next image takes/d                                 | race
f32: wrong group              | gemm_simt.cuh    | s/column + 16 \* j), b/column + 8 * j), b/                  | plain
none of k splits              | gemm.cu          |                                                            | -
k splits: the first alone     | gemm.cu          | s/split < splits; ++split/split < 1; ++split/              | plain
k splits: rows of another part | gemm.cu         | s/(split \* p.m + row)/(split + row * splits)/             | plain
k splits: past the last row   | gemm.cu          | s/row < p.m \&\& column < p.n/column < p.n/                | asan
k splits: moments of one tile | gemm.cu          | s/notes.store(parts, p, tile, n)/notes.store(parts, p, 0, n)/ | plain
none of depth splits          | conv2d.cu        |                                                            | -
depth splits: the first alone | conv2d.cu        | s/split < splits; ++split/split < 1; ++split/              | plain
depth splits: of one phase    | conv2d.cu        | s/partial_offset(c, split, int(blockIdx.y), row)/partial_offset(c, split, 0, row)/ | plain
depth splits: past the last row | conv2d.cu      | s/row < part.m \&\& column < part.n/column < part.n/        | asan
none of tokens                | cosine.cu        |                                                            | -
cosine: length of half a team | cosine.cu        | s/bit = kTeam \/ 2; bit > 0/bit = kTeam \/ 4; bit > 0/     | plain
cosine: vectors past the last | cosine.cu        | s/exists(index < p.rows \* 3 \* p.heads)/exists(true)/     | asan
cosine: values by direction   | cosine.cu        | s/vector.exists \&\& vector.part < 2/vector.exists/         | plain
window: shift the other way   | window.cu        | s/+ i + p.shift_h) % height/+ i - p.shift_h + height) % height/ | plain
window: pixels in the padding  | window.cu        | s/if (at_y < p.h \&\& at_x < p.w)/if (at_y < p.h)/          | plain
none of mixing                | mix.cu           |                                                            | -
mix: no barrier after the tables | mix.cu        | /__syncthreads/d                                           | race
mix: box one column wider     | mix.cu           | s/x < x1/x <= x1/                                          | plain
mix: rows of another image    | mix.cu           | s/p.partners\[image\] \* bytes/image * bytes/            | plain
mix: pixels past the last     | mix.cu           | s/turn < kTurns \&\& pixel < size/turn < kTurns/          | asan
none of arrays                | reduce.cu        |                                                            | -
array: no barrier in the sum  | flat_sum.cuh     | /half > 0; half/{n;d}                                      | race
array: elements past the last | flat_sum.cuh     | s/if (i + kWidth <= n)/if (i < n)/                         | plain
array: last pack as a whole   | pack.cuh         | s/if (i >= 0 \&\& i + kWidth <= n)/if (i >= 0 \&\& i < n)/ | plain
columns: no barrier in a block | columns.cuh     | /half >= g.across/{n;d}                                    | race
columns: no barrier at last   | columns.cuh      | /half >= kFinishAcross/{n;d}                               | race
columns: tree of one step less | columns.cuh     | s/half >= g.across/half > g.across/                        | plain
columns: sums of another image | columns.cuh     | s/g.images + blockIdx.z/g.images/                          | plain
lookup: numbers past the last | lookup.cu        | s/i < p.count \&\& index/index/                            | asan
optimizer: momentum of nothing | optimizer.cu    | s/if (!s.first_step) load/load/                            | plain
dropout: words side by side   | dropout.cu       | s/at + 16 \* w/at + kWidth * w/                             | plain
none of norms                 | norm.cu          |                                                            | -
norm: pivot of another channel | norm.cu         | s/load(pivot, f.x + channel)/load(pivot, f.x)/             | plain
norm: no barrier in the moments | norm_moments.cu | /half >= kAcross/{n;d}                                    | race
norm: gradient of another scale | norm_backward.cu | s/rows \* r \* r/rows * r/                                 | plain
none of rows                  | row_team.cuh     |                                                            | -
row: no barrier               | row_team.cuh     | /__syncthreads/d                                           | race
row: sums in the same place   | row_team.cuh     | /turn ^= 1/d                                               | race
row: past the last            | row_team.cuh     | s/if (team.row < rows) f/f/                                | asan
row: variance around zero     | layer_norm.cu    | s/(v\[j\] - m) \* (v\[j\] - m)/v[j] * v[j]/                 | plain
row: largest of a thread      | softmax_row.cuh  | /top = team.largest/d                                      | plain
row: targets of a thread      | cross_entropy.cu | s/, below = team.sum(below)//                              | plain
none of pixels                | pool.cu          |                                                            | -
pixel: last of equals wins    | pool.cu          | s/v\[j\] > best\[j\]/v[j] >= best[j]/                      | plain
pixel: a window too few       | pool_threads.cuh | s/axis.stride) + 1/axis.stride) + 2/                       | plain
pixel: no barrier in a tile   | layout.cu        | /__syncthreads/d                                           | race
pixel: gradient to every tap  | pool_backward.cu | s/winner\[j\] == here ? v\[j\] : 0.0f/v[j]/                | plain
pixel: gradient of a whole row | pool_backward.cu | s/float(rows.divisor \* columns.divisor)/float(rows.divisor)/ | plain
normalize: no barrier, table  | normalize.cu     | /__syncthreads/d                                           | race
normalize: red for blue       | normalize.cu     | s/bgr ? blue : red/red/                                    | plain
normalize: pixels past the last | normalize.cu   | s/i < min(at + kPixels, count)/i < at + kPixels/           | asan
pixel: taps past the box      | resize.cu        | s/min(int(centre + reach + 0.5), in)/int(centre + reach + 0.5)/ | plain
none of depthwise             | conv2d_depthwise.cu |                                                         | -
depthwise: no barrier, filter | conv2d_depthwise.cu | 0,/__syncthreads/{//d}                                  | race
depthwise: no barrier, sums   | conv2d_depthwise.cu | /sums.of\[first\]\[lane\] = sum/{n;d}                   | race
depthwise: pixel of all phases | conv2d_depthwise.cu | /start = {at.image/d                                   | plain
none of the first layer       | conv2d_first.cu  |                                                            | -
first layer: no barrier, table | conv2d_first.cu | /load_table<kTileThreads>(shared.table/{n;d}                   | race
first layer: no barrier, patch | conv2d_first.cu | /load_patch<kTileThreads>(patch, shared/{n;d}                  | race
first layer: patch over patch | conv2d_first.cu  | /the patch is no longer read/d                             | race
first layer: f32, another filter | conv2d_first_products.cuh | s/own.filter + j \* kApart) \* stride/own.filter + j) * stride/ | plain
first layer: around the image | conv2d_first.cuh | s/inside\[j\] ? photographs/true ? photographs/           | asan
none of its gradient          | conv2d_first_wgrad.cu |                                                       | -
first gradient: one patch for both | conv2d_first_wgrad.cu | s/(&dy - shared.dy) \* photographs/0 * photographs/ | race
first gradient: filters past the last | conv2d_first_wgrad_products.cuh | s/if (m + filter < p.k) column/column/ | plain
first gradient: chunks of another row | conv2d_first_wgrad_products.cuh | s/return r \* chunks/return (r ^ 1) * chunks/ | plain
first gradient: f32, half of the filters | conv2d_first_wgrad_products.cuh | s/across + half \* kAcross)/across)/ | plain
none with wgmma               | wgmma_block.cuh  |                                                            | -
wgmma: no wait for the copy   | wgmma_block.cuh  | /barriers.wait(place)/d                                    | plain
wgmma: other parity of full   | ring_barriers.cuh | s/full\[at.stage\], at.parity)/full[at.stage], at.parity ^ 1)/ | plain
wgmma: other parity of empty  | ring_barriers.cuh | s/at.parity ^ 1/at.parity/                                | plain
wgmma: parity stays as it is  | ring_barriers.cuh | s/parity ^= 1;/;/                                         | plain
wgmma: copies wait for nobody | ring_barriers.cuh | /ptx::barrier_wait(&empty/d                               | plain
wgmma: no fence after init    | ring_barriers.cuh | /barrier_init_fence/d                                     | plain
wgmma: no barrier after init  | ring_barriers.cuh | s/__syncthreads();/;/                                     | plain
wgmma: released early         | wgmma_block.cuh  | s/running = place.stage;/& release(), running = -1;/       | plain
wgmma: waits for too few      | wgmma_block.cuh  | s/wgmma_wait<1>/wgmma_wait<2>/                             | plain
wgmma: last step not awaited  | wgmma_block.cuh  | s/wgmma_wait<0>/wgmma_wait<1>/                             | plain
wgmma: no fence of the sums   | wgmma_block.cuh  | /wgmma_fence/d                                             | plain
wgmma: products in no group   | wgmma_block.cuh  | /wgmma_commit/d                                            | plain
wgmma: one warp releases all  | ring_barriers.cuh | s/empty\[stage\], kWarps/empty[stage], 1/                 | plain
wgmma: too few bytes          | wgmma_block.cuh  | s/int(sizeof(Stage))/int(sizeof(Stage::a))/                | plain
wgmma: rows of the first half | wgmma_block.cuh  | s/descriptor(64 \* group, block)/descriptor(0, block)/     | plain
wgmma: no barrier, next part  | wgmma_block.cuh  | /before the next part/d                                    | race
wgmma: no barrier, this part  | wgmma_block.cuh  | /stage_part(shared.staged\[warp\], sums, part);/{n;d}       | race
wgmma: block of another k     | box_tile.cuh     | s/kRow + block \* 16, kEightRows/kRow + (block ^ 1) * 16, kEightRows/ | plain
wgmma: rows of another swizzle | box_tile.cuh    | s/kEightRows = 8 \* kRowBytes/kEightRows = 4 * kRowBytes/  | plain
wgmma: columns side by side   | box_tile.cuh     | s/kDepth \* kRowBytes);/kRowBytes);/                       | plain
wgmma: boxes of another place | box_tile.cuh     | s/elements + o \* kDepth, map/elements + o, map/           | plain
none with clusters            | wgmma_block.cuh  |                                                            | -
cluster: warps of one block    | ring_barriers.cuh | s/kWarps \* kCluster/kWarps/; s/lane < kCluster) ptx::barrier_arrive_in(&empty\[stage\], lane)/lane == 0) ptx::barrier_arrive(\&empty[stage])/ | plain
cluster: half of another box  | box_tile.cuh     | s/outer + first, depth/outer, depth/                       | plain
cluster: copy to itself alone | box_tile.cuh     | s/(1u << kCluster) - 1/1u << ptx::cluster_rank()/           | plain
cluster: stage read by a load | wgmma_block.cuh  | s/if (running >= 0) shared.barriers.release(running);/if (threadIdx.x == 128 \&\& running >= 0) shared.staged[0][0] = float(shared.stages[running].b.elements[0]);\n&/ | race
cluster: no meeting at first  | ring_barriers.cuh | s/^      meet();/      __syncthreads();/                  | plain
cluster: no meeting at last   | wgmma_block.cuh  | /barriers.end()/d                                          | plain
cluster: same rows for both   | wgmma_block.cuh  | /at.m += int(ptx::cluster_rank/d                           | race
none of gathered pixels       | conv2d_wgmma.cuh |                                                            | -
gathered: tap of another row  | conv2d_boxes.cuh | s/, at.down += x.h.step//                                  | plain
gathered: filters of one tap  | conv2d_boxes.cuh | s/taps.number \* part.x.channels + //                      | plain
gathered: columns of one tap  | conv2d_boxes.cuh | s/taps.number \* part.f.c + n/n/                           | plain
gathered: channels of one box | conv2d_boxes.cuh | s/place = walk.at, walk.next();/place = walk.at;/          | plain
gathered: next pixels missing | conv2d_boxes.cuh | s/pixels_from(part, pixel)/pixels_from(part, 0)/           | plain
gathered: taps of one row      | conv2d_boxes.cuh | s/if (++s < x.w.taps) return;/return;/                     | plain
gathered: from the upper tap  | conv2d_geometry.h | s/(step < 0 ? step \* (taps - 1) : 0)/0/                 | plain
gathered: notes nobody awaits | team.cuh         | s/ptx::barrier_sync(kId, kThreads);/__syncwarp();/         | race
'
FLAGS=(-std=c++20 -g1 -fno-strict-aliasing -w -Wno-psabi -isystem "$CUDA_HEADERS")
SAN=(-fsanitize=address,undefined -fno-sanitize-recover=all)
simulator=(async_copy barriers before box_copy checks cluster crash driver_sim fiber graph_sim mbarrier named_barrier
  runtime_sim scheduler shared_arena spans tensor_core warp wgmma)

compile() { # folder with the sources, file, object, options...
  local from=$1 file=$2 object=$3
  shift 3
  (cd "$from" && "$CXX" "${FLAGS[@]}" -Itests/cusim/shadow -I. "$@" -c "$file" -o "$object")
}

simulator_objects() {
  for name in "${simulator[@]}"; do
    compile . "tests/cusim/$name.cpp" "$work/plain_$name.o" -O2
    compile . "tests/cusim/$name.cpp" "$work/asan_$name.o" -O1 "${SAN[@]}"
  done
  compile . tests/cusim/race.cpp "$work/race.o" -O2
  compile . tests/cusim/tsan_hooks.cpp "$work/hooks.o" -O2
  for name in gemm_plan copy; do compile . "kernels/cuda/$name.cpp" "$work/shared_$name.o" -O2; done
}

build_as() { # plain, asan or race, folder, program
  local at=$2 object=$2/$1.o
  case $1 in
    plain) compile "$at" "$3" "$object" -O1
      "$CXX" "$object" "$work"/plain_*.o "$work"/shared_*.o -o "$at/plain" ;;
    asan) compile "$at" "$3" "$object" -O1 "${SAN[@]}"
      "$CXX" "${SAN[@]}" "$object" "$work"/asan_*.o "$work"/shared_*.o -o "$at/asan" ;;
    race) compile "$at" "$3" "$object" -O1 -fsanitize=thread
      "$CXX" "$object" "$work"/plain_*.o "$work/race.o" "$work/hooks.o" "$work"/shared_*.o -o "$at/race" ;;
  esac
}

run_in_each_order() { # build, folder -> one line for each order: what was said
  local order said
  for order in forward reverse random; do
    said=$(set +o pipefail; (exec "$2/$1" "$order" 2>&1) | grep -m1 -oE \
      'PASS|FAIL.*|cusim: .*|ERROR: AddressSanitizer: [a-zA-Z-]*|runtime error: .*') || said="crash"
    echo "$1|$order|${said:0:100}"
  done
}

plant() { # folder, file, sed command
  mkdir -p "$1/tests" && cp -r kernels "$1/kernels" && cp -r tests/cusim tests/*.h "$1/tests"
  [ -z "$3" ] && return
  sed -i -e "$3" "$1/kernels/cuda/$2"
  ! cmp -s "kernels/cuda/$2" "$1/kernels/cuda/$2"
}

program_of() { # name, file -> what runs the kernel
  case $1 in
    *"k splits"*) echo seeded_gemm_splits ;;
    *"depth splits"*) echo seeded_conv_splits ;;
    *conv*) echo seeded_conv ;;
    *wgmma*) echo seeded_wgmma ;;
    gathered:* | *"of gathered pixels") echo seeded_gathered ;;
    *cluster*) echo seeded_cluster ;;
    array:* | columns:* | lookup:* | optimizer:* | dropout:* | *"of arrays") echo seeded_arrays ;;
    norm:* | *"of norms") echo seeded_norm ;;
    row:* | *"of rows") echo seeded_rows ;;
    pixel:* | normalize:* | *"of pixels") echo seeded_pixels ;;
    cosine:* | window:* | *"of tokens") echo seeded_tokens ;;
    depthwise:* | *"of depthwise") echo seeded_depthwise ;;
    "first layer:"* | *"of the first layer") echo seeded_first ;;
    "first gradient:"* | *"of its gradient") echo seeded_first_gradient ;;
    *) case $2 in
         attention*) echo seeded_attention ;;
         mix*) echo seeded_mix ;;
         *) echo seeded ;;
       esac ;;
  esac
}

one_bug() { # name, file, sed command, expected build -> says and returns whether all is as it should be
  local at="$work/${1//[^a-z0-9]/_}" builds=$4 passes=0 build program
  [[ $1 != none* ]] || builds="plain asan race" passes=9
  program=$(program_of "$1" "$2")
  plant "$at" "$2" "$3" || { echo "$1: the sed command changes nothing in $2"; return 1; }
  for build in $builds; do
    build_as "$build" "$at" tests/cusim/$program.cpp || { echo "$1: does not compile"; return 1; }
    run_in_each_order "$build" "$at"
  done >"$at/said"
  echo "== $1"
  sed 's/^/   /; s/|/ /g' "$at/said"
  [ "$(grep -c '|PASS$' "$at/said")" = $passes ] ||
    { echo "   NOT AS IT SHOULD BE: $4 was to see it in every order"; return 1; }
  rm -rf "$at"
}

simulator_objects
count=0 running=0 trim='s/^ *//; s/ *$//'
while IFS='|' read -r name file command expected <&3; do
  name=$(sed "$trim" <<<"$name") file=$(sed "$trim" <<<"$file") command=$(sed "$trim" <<<"$command")
  [ -n "$name" ] || continue
  if [ $# -gt 0 ]; then [[ " $* " == *" $name "* ]] || continue; fi
  count=$((count + 1)) running=$((running + 1))
  [ $running -le "$JOBS" ] || { wait -n || true; running=$((running - 1)); }
  { one_bug "$name" "$file" "$command" "$(sed "$trim" <<<"$expected")" && touch "$work/$count.ok"; } \
    >"$work/$count.said" 2>&1 3<&- &
done 3<<<"$BUGS"
wait
for ((i = 1; i <= count; i++)); do cat "$work/$i.said"; done
failed=$((count - $(find "$work" -maxdepth 1 -name '*.ok' | wc -l)))
echo "seeded.sh: $count programs, $failed not as they should be"
[ $failed = 0 ] && [ $count -gt 0 ]
