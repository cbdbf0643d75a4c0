#define OPS ops_scalar
#include "ops.inc"
