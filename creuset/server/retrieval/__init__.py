"""Embeddings and reranking: what a text means as a row of numbers, and which texts are near a question."""
