"""The whole way over HTTP/1.1: gunicorn's parser, one greenlet for one request."""
