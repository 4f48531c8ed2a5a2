"""The part that waits (gevent): writes before the store, parked readers, webhooks.

It never blocks the event loop. The disk is touched in a thread pool, and a reader or
writer that waits is a greenlet on an event.
"""
