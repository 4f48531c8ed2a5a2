"""The rules: pure functions of what is asked, what is held, and the time."""
