"""HTTP: the server, its connections, strict heads and bodies, the application."""
