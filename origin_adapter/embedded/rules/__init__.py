"""What may happen, decided without input, output or a clock.

Every function takes frozen values and the time, and returns new values or raises
``Refused``. The rules know no SQLite, no gevent and no HTTP framing.
"""
