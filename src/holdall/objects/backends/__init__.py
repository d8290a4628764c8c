"""The backends of the object store; each imports its driver when it is opened."""
