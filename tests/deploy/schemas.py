"""``python -m tests.deploy.schemas``: what is shipped, by the schemas of others.

The manifests of ``deploy/kubernetes`` are built by kustomize where there is a kubectl,
else taken as they lie, and judged by Kubernetes' own schemas (the package
``kubernetes-validate``, from a virtualenv that is thrown away: it unpacks to 100 MB).
A ServiceMonitor is none of Kubernetes' own, and is judged by nobody here. By hand.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.deploy.proxies import DEPLOY

VALIDATOR = "kubernetes-validate==1.37.0"
VERSIONS = ("1.29", "1.33", "1.37")
FOLDER = DEPLOY / "kubernetes"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="schemas-") as folder:
        python = Path(folder, "venv", "bin", "python")
        run(sys.executable, "-m", "venv", f"{folder}/venv")
        run(str(python), "-m", "pip", "install", "--quiet", VALIDATOR)
        validate = str(python.with_name("kubernetes-validate"))
        for version in VERSIONS:
            for file in manifests(Path(folder)):
                print(run(validate, "--strict", "-k", version, str(file)), end="")


def manifests(folder: Path) -> list[Path]:
    """The files to judge."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        print("no kubectl: the files as they lie")
        return [
            file
            for file in sorted(FOLDER.rglob("*.yaml"))
            if file.name not in ("kustomization.yaml", "edge.yaml")
        ]
    built = folder / "built.yaml"
    built.write_text(run(kubectl, "kustomize", str(FOLDER / "monitored")))
    return [built]


def run(*command: str) -> str:
    """What it says on standard output. Ends this program where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
