"""Pre-training: settings, state, loop, optimizers, checkpoints, metrics."""
