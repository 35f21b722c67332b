#!/usr/bin/env bash
# Every check that needs a GPU, with one folder of results. On a machine with CUDA:
#
#   benchmarks/gpu.sh --cub CUB_200_2011 --weights vgg16.pth --out gpu-results
#   benchmarks/gpu.sh --cub CUB_200_2011 --dry-run
#
# Each check writes NAME.log, and NAME.json where it gives figures; summary.txt has a line a check.
# What is in the folder already as NAME.done is not run again, so an interrupted run goes on.
set -uo pipefail

usage() {
  sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'
  cat <<'TEXT'
Options:
  --cub FOLDER      CUB-200-2011, or a subset with its layout; without it nothing is trained on it
  --weights FILE    of VGG-16; default: torchvision downloads them
  --out FOLDER      default: gpu-results
  --python COMMAND  default: .venv/bin/python, else python3
  --seeds N         of HBP, MLP and MLPH; default: 3
  --only NAMES      some of the checks, separated by commas
  --dry-run         print the commands, run nothing
TEXT
}

cub="" weights="" out="gpu-results" python="" seeds=3 only="" dry=0
while [ $# -gt 0 ]; do
  case "$1" in
    --cub | --weights | --out | --python | --seeds | --only)
      [ $# -ge 2 ] || { echo "gpu.sh: $1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --dry-run) dry=1; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "gpu.sh: no option $1" >&2; usage >&2; exit 2 ;;
  esac
done

root="$(cd "$(dirname "$0")/.." && pwd)"
if [ -z "$python" ]; then
  python="python3"
  [ -x "$root/.venv/bin/python" ] && python="$root/.venv/bin/python"
fi
[ "$dry" = 1 ] || mkdir -p "$out" || exit 1
case "$out" in /*) ;; *) out="$PWD/$out" ;; esac
if [ -n "$cub" ]; then case "$cub" in /*) ;; *) cub="$PWD/$cub" ;; esac; fi
if [ -n "$weights" ]; then case "$weights" in /*) ;; *) weights="$PWD/$weights" ;; esac; fi
cd "$root" || exit 1

failed=0

# check NAME COMMAND...: run once; stdout to NAME.json where it is an object, everything to NAME.log.
check() {
  local name="$1"
  shift
  case ",$only," in ",,") ;; *",$name,"*) ;; *) return ;; esac
  if [ "$dry" = 1 ]; then
    printf '%s:' "$name"
    printf ' %q' "$@"
    printf '\n'
    return
  fi
  if [ -e "$out/$name.done" ]; then
    echo "$name: done before"
    return
  fi
  local started code
  started="$(date +%s)"
  echo "$name: $*"
  "$@" >"$out/$name.out" 2>"$out/$name.log"
  code=$?
  case "$(head -c 1 "$out/$name.out")" in "{") mv "$out/$name.out" "$out/$name.json" ;; esac
  # 3: a threshold was never crossed, which is an answer.
  if [ "$code" = 0 ] || [ "$code" = 3 ]; then touch "$out/$name.done"; else failed=1; fi
  printf '%s: exit %s after %s s\n' "$name" "$code" "$(($(date +%s) - started))" | tee -a "$out/summary.txt"
}

c2f() { # NAME SUBCOMMAND...: c2f in the workspace of the checks
  local name="$1"
  shift
  check "$name" "$python" -m c2f_cli "$@" --workspace "$out/workspace" --json
}

check machine "$python" -c '
import json, platform, torch
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version(),
    "gpu": torch.cuda.get_device_name(0), "gigabytes": torch.cuda.get_device_properties(0).total_memory / 1e9}))'
check tests "$python" -m pytest -m gpu
check head "$python" -m benchmarks.head --device cuda --runs 30 --json
check train "$python" -m benchmarks.train --device cuda --rounds 7 --json
check train-compiled "$python" -m benchmarks.train --device cuda --rounds 7 --compile --json
check head-batch32 "$python" -m benchmarks.head --device cuda --runs 30 --batch 32 --json

if [ -n "$cub" ]; then
  source=(--root "$cub" --device cuda)
  [ -n "$weights" ] && source+=(--weights "$weights")
  # Classifiers that are fine-tuned: as the paper's are, and as c2f does on a GPU by default.
  c2f calibration calibrate --dataset cub "${source[@]}" --classifier finetune --no-shards
  c2f calibration-relative calibrate --dataset cub "${source[@]}" --classifier finetune --relative --no-shards
  c2f calibration-retrained calibrate --dataset cub "${source[@]}" --classifier finetune --relative \
    --protocol retrained --no-shards
  # Table 3: the classifiers alone on a frozen trunk, then both stages, at the relative thresholds.
  for stages in 1 2; do
    c2f "table-stage$stages" reproduce cub "${source[@]}" --classifier finetune --relative \
      --seeds "$seeds" --stages "$stages"
  done
  if [ -f "$cub/bounding_boxes.txt" ]; then
    c2f table-boxes reproduce cub "${source[@]}" --classifier finetune --relative \
      --seeds "$seeds" --stages 2 --crop bbox
  fi
fi

[ "$dry" = 1 ] || { echo "Results: $out"; cat "$out/summary.txt"; }
exit "$failed"
