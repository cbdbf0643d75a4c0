#define OPS train_avx512
#include "train_ops.inc"
