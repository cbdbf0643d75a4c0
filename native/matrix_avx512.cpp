#include "kernels.h"

namespace creuset {

const Kernels avx512_kernels = {};

}  // namespace creuset
