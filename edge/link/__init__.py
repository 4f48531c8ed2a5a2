"""The link: how the processes of one node ask each other (W1 to W3, W7 to W12).

A front answers clients, and its origin is the keepers of its node: ``keepers`` has the
``Origin`` that its hub and its writes go by. A keeper answers fronts, and its origin is
the real one; ``terms_authorizer`` is its authorizer, which believes what a front has
judged. What the two tell each other is written by ``edge.policy.http.link_fields``.

A stream has one keeper. That saves requests and proves nothing (W1): each of the two
judges its upstream's answers by the rules of ``edge.live``, as a stranger's. No keeper
asks a keeper, so nothing goes in circles (W2).
"""
