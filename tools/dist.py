"""``make dist``: the source archive and the wheel in ``dist``, built clean and judged.

Both are built from a copy of what git knows of, so that nothing of an older build and
nothing that happens to lie about gets in. The wheel is made from the source archive: it
proves that the archive has all that building takes. ``twine`` and
``check-wheel-contents`` judge the archives, from a virtualenv that is thrown away.

The tests build both in the same way (``tests/tools/test_dist.py``).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "dist"
JUDGES = ("twine==7.0.0", "check-wheel-contents==0.6.3")

_BUILD = "import sys; from setuptools import build_meta as b; b.build_{}(sys.argv[1])"


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    archives = build(OUT)
    judge(*archives)
    for archive in archives:
        print(archive.relative_to(ROOT))


def build(out: Path) -> tuple[Path, Path]:
    """The source archive and the wheel, made in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dist-") as folder:
        copy = Path(folder, "copy")
        copy_sources(copy)
        _backend("sdist", copy, out)
        [source] = out.glob("*.tar.gz")
        _run("tar", "-xzf", str(source), "-C", folder)
        _backend("wheel", Path(folder, source.name.removesuffix(".tar.gz")), out)
    [wheel] = out.glob("*.whl")
    return source, wheel


def sources() -> list[str]:
    """The files that git tracks, and those that it would not ignore, as of now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    names = told.decode().removesuffix("\0").split("\0")
    return [name for name in names if (ROOT / name).is_file()]


def copy_sources(folder: Path) -> None:
    for name in sources():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def judge(source: Path, wheel: Path) -> None:
    """Raises CalledProcessError if an archive is not as an index wants it."""
    with tempfile.TemporaryDirectory(prefix="judges-") as folder:
        _run(sys.executable, "-m", "venv", folder)
        _run(f"{folder}/bin/python", "-m", "pip", "install", "--quiet", *JUDGES)
        _run(f"{folder}/bin/twine", "check", "--strict", str(source), str(wheel))
        _run(f"{folder}/bin/check-wheel-contents", str(wheel))


def _backend(kind: str, source: Path, out: Path) -> None:
    """Have setuptools build in ``source``; its hundred lines only if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", _BUILD.format(kind), str(out.resolve())],
        cwd=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stdout)
        done.check_returncode()


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
