"""What the edge holds of each stream, and what it knows of its tail. Pure."""
