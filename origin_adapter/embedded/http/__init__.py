"""HTTP: strict heads and bodies, the Falcon application, the server."""
