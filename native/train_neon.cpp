#define OPS train_neon
#include "train_ops.inc"
