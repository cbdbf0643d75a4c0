// What the library says of itself to whoever loads it (native/build.py appends the rest as a note).
#include "isa.h"

// Raised with each change of the plain C interface.
CREUSET_API int creuset_abi() { return CREUSET_ABI; }
