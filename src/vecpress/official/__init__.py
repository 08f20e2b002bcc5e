"""A press on MTEB's own tasks: pipelines as its models, BEIR folders as its tasks."""
