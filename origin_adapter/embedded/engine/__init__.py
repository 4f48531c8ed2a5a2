"""What waits: gevent. Writes on their way to the store, parked readers, webhooks.

Nothing here blocks the event loop: the disk is touched in a thread pool, and
a reader or writer that waits is a greenlet on an event.
"""
