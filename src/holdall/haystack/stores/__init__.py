"""Where entities and their histories are kept: the two contracts, and the backends."""
