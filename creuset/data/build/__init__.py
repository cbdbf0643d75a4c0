"""The corpus pipeline and its report."""
