#!/usr/bin/env bash
# A twin of the shipped model in which canaries and repeated pages were planted, and the audit of what it kept.
#
#   runs/canaries.sh CORPUS TOKENIZER WORK      one CPU core, half an hour to an hour; run again, it goes on
#
# CORPUS and TOKENIZER are those of runs/speedrun.sh. docs/runs/canaries keeps the results of WORK/memory and
# WORK/members. RECIPE, SHARE (of all sizes), EPOCHS, PLAN, PASSAGES and DOCUMENTS make a rehearsal of it; MINUTES=9
# pauses the training.
set -euo pipefail
corpus=${1:?corpus artifact} tokenizer=${2:?tokenizer artifact} work=${3:?folder}
here=$(dirname "$0") share=${SHARE:-1}
creuset=${CREUSET:-$here/../.venv/bin/creuset} python=${PYTHON:-$here/../.venv/bin/python}
read -ra plan <<<"${PLAN:-repetitions=0,1,2,4,8,16,32,64,128 per_level=12 sentences=3}"
mkdir -p "$work"
has() { test -f "$work/$1/manifest.json"; }

has canaries || "$creuset" corpus canaries --out "$work/canaries" "${plan[@]/#/--set=}"
test -f "$work/texts/ledger.toml" || { rm -rf "$work/texts"; "$python" "$here/canaries_texts.py" "$corpus" "$tokenizer" "$work/texts" "$share"; }
# Copies are the point here: nothing is removed as a duplicate. Half of each other source is held out.
has corpus || "$creuset" corpus build "$work"/texts/*.jsonl "$work/canaries/source" --ledger "$work/texts/ledger.toml" \
    --ledger "$work/canaries/ledger.toml" --set dedup.exact=false --set dedup.near=false --set heldout.share=0.5 \
    --set heldout.max_mb=50 --out "$work/corpus"
has shards || "$creuset" corpus tokenize "$work/corpus" --tokenizer "$tokenizer" --out "$work/shards"
# Three quarters of an epoch: a copy in the shards is read 0.75 times on average, as the audit says beside its figures.
steps=$("$python" - "$work/shards" "${STEP_TOKENS:-8192}" "${EPOCHS:-0.75}" <<'PY'
import json, sys
facts = json.load(open(f"{sys.argv[1]}/manifest.json"))["facts"]
print(int(facts["train_tokens"] * float(sys.argv[3]) / int(sys.argv[2])))
PY
)
has run/model || "$creuset" train "${RECIPE:-mini:twin}" --shards "$work/shards" --out "$work/run" --set "steps=$steps" \
    --threads 1 ${MINUTES:+--minutes $MINUTES}
has run/model || exit 0
given=(--given "shards=$work/shards" --given "canaries=$work/canaries")
has memory || "$creuset" audit "$work/run/model" --items canaries,extraction "${given[@]}" --limit "${PASSAGES:-80}" \
    --out "$work/memory"
has members || "$creuset" audit "$work/run/model" --items membership "${given[@]}" --limit "${DOCUMENTS:-3600}" \
    --out "$work/members"
echo "$work/memory $work/members"
