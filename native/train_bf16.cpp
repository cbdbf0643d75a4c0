#define OPS train_bf16
#include "train_ops.inc"
