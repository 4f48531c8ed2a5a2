"""What may happen, decided without input, output or a clock.

Every function takes frozen values and the time, and returns new values or
raises ``Refused``. Nothing here knows SQLite, gevent or HTTP framing.
"""
