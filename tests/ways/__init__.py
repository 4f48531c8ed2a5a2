"""How far a request travels through the product: calls, files, changes of file.

``make ways`` prints the table. The figures tell how much code a reader must open to
follow one request, so they steer which modules are joined. They are no durations.
"""
