"""The Falcon application: every request, complete in itself."""
