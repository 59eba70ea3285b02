"""Python environments beside our own, for real parts whose dependencies disagree with ours.

Made from a lock file on first use and kept in the user's cache folder; another run that is making the same one is waited for.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path


def environment(name: str, lock: Path) -> Path:
    """The folder of an environment that holds what the lock file names, and nothing else."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{name}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}-{key}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)  # noqa: S603 - our own arguments
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--requirement", str(lock)], check=True)  # noqa: S603 - our own lock file
            (folder / "ready").touch()
    return folder
