#define OPS train_bf16
#include "train_rows.inc"
#include "train_attention.inc"
#include "train_muon.inc"
