"""Documents in, token shards out; only `batches` knows torch."""
