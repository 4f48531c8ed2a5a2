"""``ds-edge`` whose package can be taken away while it runs.

    python -m tests.whole.taken_away FILE serve -c SETTINGS

Once FILE is there, nothing more can be imported, in any process: each name that
somebody asks for is written there, and is not found. So is a package that is upgraded
met by whoever imports something then, but that he gets another version.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


class Gone:
    """Finds nothing, once ``file`` is there. Before that, whoever comes next finds."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        if self._file.exists():
            with self._file.open("a") as told:
                told.write(f"{fullname}\n")
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def main() -> None:
    """Run it."""
    # gevent's patch comes before anything of the edge.
    importlib.import_module("edge.cli.serve")
    sys.meta_path.insert(0, Gone(Path(sys.argv.pop(1))))
    importlib.import_module("edge.cli").main()


if __name__ == "__main__":
    main()
