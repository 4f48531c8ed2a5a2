"""Floor 2: the rules. Pure functions of what is asked, what is held, and now."""
