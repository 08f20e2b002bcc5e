"""Ways to turn texts into embeddings, one engine to a file."""
