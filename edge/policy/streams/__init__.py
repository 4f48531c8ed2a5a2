"""Rules of streams: which read it is, what to do with it, what goes out. Pure."""
