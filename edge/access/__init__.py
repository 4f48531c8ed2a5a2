"""Who is let in: tokens, signed URLs and what they grant, judged at the edge.

Most of it is pure: ``now`` is an argument, keys are given as bytes, and each judgement
has a closed set of outcomes. ``edge.policy.streams.ways`` has the data that is judged
by. Only the part below the line remembers, or waits.

=================== ==========================================================
``credentials``      what of a request is a way's credential
``needs``            which right a request takes, and to what
``keys``             key sets, and the one key that fits a token
``path_grants``      globs over raw paths, and names bound to claims
``tokens``           a JSON Web Token: its claims, or why not
``signed``           a signed URL: made and verified
``challenges``       why somebody was not let in, and what its client is told
------------------- ----------------------------------------------------------
``authorizer``       a request's verdict: the authorizer of the pipeline
``verdicts``         what was said of credentials lately
``check_budget``     how many signatures are checked in one turn of the loop
``key_ring``         all keys of one way
``jwks_client``      the keys at one URL, fetched now and then
=================== ==========================================================
"""
