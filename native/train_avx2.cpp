#define OPS train_avx2
#include "train_rows.inc"
#include "train_attention.inc"
#include "train_muon.inc"
