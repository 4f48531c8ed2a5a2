"""``python -m edge.cli`` is ``ds-edge``."""

from edge.cli import main

main()
