#define OPS train_scalar
#include "train_rows.inc"
#include "train_attention.inc"
#include "train_muon.inc"
