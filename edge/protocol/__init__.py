"""Floor 0: the protocol's values and rules. Pure; imports nothing of the edge.

Values that floors hand to each other (``values``), the arithmetic that the
protocol defines (``offsets``, ``cursor``, ``sse``, ``json_arrays``), the words
for outcomes (``reasons``, ``errors``, ``counters``) and the ports that floors
above implement (``ports``).
"""
