"""Vectors you already have, in 32 bytes each: no model, no labels, no torch."""

import numpy as np

from vecpress import Index, Pipeline, Recipe
from vecpress.plan import fit_to_budget

rng = np.random.default_rng(0)
vectors = (rng.normal(size=(5000, 48)) @ rng.normal(size=(48, 768))).astype(np.float32)
np.save("vectors.npy", vectors)

mapped = np.load("vectors.npy", mmap_mode="r")  # only a sample, then blocks, are read
pipeline, plan = fit_to_budget(Recipe(), mapped, 32)
print(f"chosen of {len(plan.choice.trials)}: {plan.choice.best}")

pipeline.save_index(pipeline.index(mapped), "index")

index, pipeline = Index.load("index"), Pipeline.load("index/press")
hits = pipeline.search(index, vectors[:100], k=10)
found = np.mean([str(i) in ids for i, ids in enumerate(hits.ids)])
print(f"{pipeline.bytes_per_vector} bytes instead of {4 * pipeline.in_dim}")
print(f"{100 * found:.0f} % of the vectors find themselves among their ten nearest")
