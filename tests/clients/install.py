"""Installs the clients of packages.txt into a virtual environment that has that of searchdet beside it.

    python tests/clients/install.py .venv-clients

Runs with the Python of .venv. A client that does not install is said so, and its tests are skipped.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = Path(__file__).with_name("packages.txt")


def main(folder: Path) -> None:
    if not (folder / "bin/python").exists():
        venv.create(folder, with_pip=True)
    python = str(folder / "bin/python")
    _share(Path(_said(python, "import sysconfig; print(sysconfig.get_path('purelib'))")))
    for line in PACKAGES.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words or line.startswith("#"):
            continue
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q", "--no-deps"]
        done = subprocess.run([*pip, *words], check=False, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            print(f"{words[0]} cannot be installed, its tests are skipped: {reason}", flush=True)
        else:
            print(f"{words[0]} is installed", flush=True)


def _share(packages: Path) -> None:
    """Let the environment find searchdet and what it needs; its own packages come first."""
    paths = (sysconfig.get_path("purelib"), str(ROOT))
    (packages / "searchdet-beside.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")


def _said(python: str, script: str) -> str:
    done = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
