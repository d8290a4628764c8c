"""The face of entities and histories."""
