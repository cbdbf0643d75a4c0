#include "kernels.h"

namespace creuset {

const Kernels vnni_kernels = {};

}  // namespace creuset
