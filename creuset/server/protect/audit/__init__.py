"""The audit log beyond the directory's own: reads, erased names, retention, and its ways out."""
