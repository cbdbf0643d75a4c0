#define OPS ops_neon
#include "ops.inc"
