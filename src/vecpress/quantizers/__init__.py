"""Ways to turn an embedding into a few bytes, one family to a file."""
