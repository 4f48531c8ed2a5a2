"""Rules of HTTP that hold for any proxy: headers, targets, codings. Pure."""
