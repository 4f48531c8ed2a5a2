"""A service in two regions loses its origin: the story of ``docs/outage.md``.

An origin, a switch before it, a shield, and two PoPs with viewers, each a process of
its own. ``python -m tests.whole.outage`` tells it as tables; ``test_outage.py`` tells
it short, and asserts counts. No test asserts how long anything took.
"""
