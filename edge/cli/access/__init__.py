"""``ds-edge sign`` and ``ds-edge token``: credentials made at a terminal.

``app`` names arguments and options. ``making`` does the work; it is imported when a
command runs, so that no other command loads cryptography.
"""
