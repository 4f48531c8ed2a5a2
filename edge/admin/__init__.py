"""The admin address: health, readiness, metrics, and what an operator may ask."""
