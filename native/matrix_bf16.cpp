#include "kernels.h"

namespace creuset {

const Kernels bf16_kernels = {};

}  // namespace creuset
