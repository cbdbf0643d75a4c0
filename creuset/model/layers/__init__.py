"""The parts of a block: projections, norms, feed-forward layers."""
