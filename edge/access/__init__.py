"""Who is let in: tokens, signed URLs and what they grant, judged at the edge.

Everything here is pure: ``now`` is an argument, keys are given as bytes, and each
judgement has a closed set of outcomes. Nothing here reads a file, asks anybody or
remembers a verdict. ``edge.policy.streams.ways`` has the data that is judged by.

=================== ==========================================================
``credentials``      what of a request is a way's credential
``keys``             key sets, and the one key that fits a token
``path_grants``      globs over raw paths, and names bound to claims
``tokens``           a JSON Web Token: its claims, or why not
``signed``           a signed URL: made and verified
``challenges``       why somebody was not let in, and what its client is told
=================== ==========================================================
"""
