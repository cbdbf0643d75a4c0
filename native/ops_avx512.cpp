#define OPS ops_avx512
#include "ops.inc"
