"""Floor 1: what the edge holds of each stream, and what it knows of its tail. Pure."""
