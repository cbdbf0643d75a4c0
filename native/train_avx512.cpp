#define OPS train_avx512
#include "train_rows.inc"
#include "train_attention.inc"
#include "train_muon.inc"
