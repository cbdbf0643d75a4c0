"""The native core: C++ kernels that compute a whole step. Its sources are in `native/` of the repository."""
