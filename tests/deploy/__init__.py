"""The files of ``deploy/`` with real servers; ``python -m tests.deploy`` measures."""
