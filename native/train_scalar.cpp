#define OPS train_scalar
#include "train_ops.inc"
