"""``ds-edge sign``, ``token`` and ``revoke``: credentials made, and taken back.

``app`` names arguments and options. ``making`` and ``revoking`` do the work; they are
imported when a command runs, so that no other command loads cryptography.
"""
