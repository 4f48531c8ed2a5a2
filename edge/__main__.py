"""``python -m edge`` is ``ds-edge``."""

from edge.cli import main

main()
