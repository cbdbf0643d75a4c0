"""What knows nothing of language models: errors, settings, artifacts, records, logs."""
