"""What answers requests: reads, preflights, and everything that passes through."""
