"""Objects: bytes under a key, the same in memory, on disk and in the cloud."""
