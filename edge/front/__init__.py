"""The front: from a client's socket to a Read, and from an Answer to its bytes."""
