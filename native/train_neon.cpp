#define OPS train_neon
#include "train_rows.inc"
#include "train_attention.inc"
#include "train_muon.inc"
