"""The rules: pure functions of what is asked, what is held, and the time.

``http`` has those of any proxy, ``streams`` those of streams, one floor above.
"""
