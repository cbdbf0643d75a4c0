#include "kernels.h"

namespace creuset {

const Kernels avx2_kernels = {};

}  // namespace creuset
