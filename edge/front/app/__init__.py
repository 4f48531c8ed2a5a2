"""The application (``handler``), without a version of HTTP, and the Falcon adapter
beside it (``app``)."""
