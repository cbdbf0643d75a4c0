#include "kernels.h"

namespace creuset {

const Kernels neon_kernels = {};

}  // namespace creuset
