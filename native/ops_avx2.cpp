#define OPS ops_avx2
#include "ops.inc"
