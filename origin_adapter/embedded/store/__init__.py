"""The store on disk: one SQLite file in WAL mode.

One thread writes, in batches; each batch is one transaction and one fsync.
Pages are read on other connections, which never wait for the writer.
"""
