#define OPS train_avx2
#include "train_ops.inc"
