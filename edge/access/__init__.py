"""Who is let in: judged at the edge by keys, or by somebody who is asked.

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
``asking``           the parts of an ask, and what its verdict is known by
``challenges``       why somebody was not let in, and what its client is told
``revocations``      which tokens are refused by order of an operator
------------------- ----------------------------------------------------------
``authorizer``       a request's verdict: the authorizer of the pipeline
``judging``          the one shape of all judges; the theory
``judges``           one judge for each way of a worker's routes
``key_judges``       those that need nobody else
``forward``          the one that asks an endpoint of the operator's
``origin_way``       the one that asks the origin
``asked_verdicts``   what those who are asked say: once, and believed a while
``ask_line``         how many are asked at once, and who is next
``denials``          how many bad credentials a client may show
``verdicts``         what was said of credentials lately
``leases``           what verdicts gave and somebody holds, to end it early
``revoker``          orders to revoke: in force, kept, heard of from others
``revocation_file``  orders in a file that all workers read
``check_budget``     how many signatures are checked in one turn of the loop
``key_ring``         all keys of one way
``jwks_client``      the keys at one URL, fetched now and then
=================== ==========================================================
"""
