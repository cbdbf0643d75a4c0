#include "kernels.h"

namespace creuset {

const Kernels amx_kernels = {};

}  // namespace creuset
