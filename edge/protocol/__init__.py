"""Durable Streams on the wire, and the grammar of HTTP. Pure; imports nothing of the
edge but itself.

The names of fields and parameters (``names``), the arithmetic that the protocol defines
(``offsets``, ``cursor``, ``json_arrays``), server-sent events (``sse``), and what HTTP
itself defines (``http_grammar``).
"""
