#!/usr/bin/env bash
# From nothing to the shipped chat, one command, resumable: run it again and it goes on where it stopped.
#
#   runs/speedrun.sh cpu DATA BENCHMARKS WORK      two CPU cores, in the background, as long as it takes
#   runs/speedrun.sh gpu DATA BENCHMARKS WORK      one H100 or H200; MINUTES=9 pauses each training stage
#
# PRETRAIN, SFT, VOCAB and LIMIT (items of a benchmark) replace what a setting says; the tests make the run tiny so.
# DATA holds pretrain/, instruct/, reasoning/ and MANIFEST.json; BENCHMARKS the texts to keep out of the corpus.
# On a machine without the corpus, carry WORK/shards and WORK/dialogues: stages whose artifact exists are skipped.
set -euo pipefail
setting=${1:?cpu or gpu} data=${2:?folder of pretrain/, instruct/, reasoning/} benchmarks=${3:?folder} work=${4:?folder}
creuset=${CREUSET:-$(dirname "$0")/../.venv/bin/creuset}
case $setting in
    cpu) pretrain=mini sft=mini:sft size=medium limits=(--limit-mb en_classic_books=60 --limit-mb en_wikipedia_core=80) ;;
    gpu) pretrain=mini:pretrain_gpu sft=mini:sft_gpu size=full limits=() ;;
    *) echo "the first argument is cpu or gpu, got $setting" >&2; exit 2 ;;
esac
pretrain=${PRETRAIN:-$pretrain} sft=${SFT:-$sft}
pause=${MINUTES:+--minutes $MINUTES}
mkdir -p "$work"
has() { test -f "$work/$1/manifest.json"; }

# Sources of plain prose, the ones the recipe mixes (creuset/recipes/mini.py).
sources=(en_simplewiki en_wikipedia_core en_classic_books en_tinystories_sample en_african_storybook
    en_onestop_news_3levels en_world_factbook fr_novels_eltec fr_african_storybook)

files=("${sources[@]/#/$data/pretrain/}")
has corpus || has shards || "$creuset" corpus build "${files[@]/%/.jsonl.xz}" --ledger "$data/MANIFEST.json" \
    --ledger "$(dirname "$0")/../creuset/data/pretrain.toml" --benchmarks "$benchmarks" "${limits[@]}" \
    --out "$work/corpus"
has tokenizer || has shards || "$creuset" tokenizer train --corpus "$work/corpus" --vocab-size "${VOCAB:-4096}" --limit-mb 8 --out "$work/tokenizer"
has shards || "$creuset" corpus tokenize "$work/corpus" --tokenizer "$work/tokenizer" --out "$work/shards"
has dialogues || "${python:-python3}" "$(dirname "$0")/../datasets/mini_instructions" --size $size --pretrain "$data/pretrain" --instruct "$data/instruct" \
    --reasoning "$data/reasoning" --out "$work/dialogues"
# shellcheck disable=SC2086
has pretrain/model || "$creuset" train "$pretrain" --shards "$work/shards" --out "$work/pretrain" $pause
has pretrain/model || exit 0
# shellcheck disable=SC2086
has sft/model || "$creuset" tune sft "$sft" --model "$work/pretrain/model" --dialogues "$work/dialogues" \
    --shards "$work/shards" --out "$work/sft" $pause
has sft/model || exit 0
# A small model wanders: little temperature, and a light hand on repetition.
sampling=(temperature=0.3 top_p=0.9 repetition_penalty=1.05)
has weights/mini || "$creuset" tune ship "$work/sft/model" --out "$work/weights/mini" --sampling "${sampling[@]}"
has evaluation || "$creuset" eval "$work/weights/mini" --data "$work/shards" --task bpb,arc_easy,hellaswag,piqa \
    --bench "$benchmarks" --limit "${LIMIT:-300}" --context 1024 --out "$work/evaluation"
has heldout || "$creuset" eval "$work/weights/mini" --task dialogues --bench "$work/dialogues" --out "$work/heldout"
has mini || "$creuset" eval card "$work/weights/mini" --evaluation "$work/evaluation" "$work/heldout" --package "$work/mini"
echo "$work/mini"
