"""Studies: one question, its arms, and what its claims come to."""
