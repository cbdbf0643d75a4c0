"""Inference: requests, paged cache, scheduler, sampler; no HTTP."""
