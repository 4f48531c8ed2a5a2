"""The image: built, run and looked into by ``make container``, by hand.

It needs root, a container engine and minutes, so ``make test`` leaves it out; what can
be judged without an engine is in ``test_dockerfile.py``.
"""
