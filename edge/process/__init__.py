"""The worker processes: gunicorn as this edge needs it, start, drain, replacement."""
