"""Java programs for tests, from the jars that a Maven project names, on the machine's own Java.

Fetched on first use and kept in the user's cache folder; another run that fetches the same is waited for. Each jar must be the one
whose SHA-256 stands beside the project.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.7.1:copy-dependencies"
TRIES: Final = 3
"""A registry may hang up now and then; what has come already is not fetched again."""


class JavaUnavailable(Exception):  # noqa: N818 - reads as the fact it states
    """This machine has no Java or no Maven."""


def jars(name: str, project: Path) -> list[Path]:
    """What `project` (a folder with pom.xml and jars.sha256) needs, in the order of jars.sha256."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise JavaUnavailable(f"{name} needs Java and Maven, and there is no {program} here (Debian: apt-get install maven)")
    pom, sums = project / "pom.xml", _sums(project / "jars.sha256")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"
    key = hashlib.sha256(pom.read_bytes() + repr(sums).encode()).hexdigest()[:12]
    folder = cache / f"{name}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}-{key}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(pom, sums, folder)
    return [folder / each for each in sums]


def _sums(listing: Path) -> dict[str, str]:
    """As `sha256sum *.jar` prints them: name to sum."""
    lines = (line.split() for line in listing.read_text().splitlines())
    return {file: digest for digest, file in lines}


def _fetch(pom: Path, sums: dict[str, str], folder: Path) -> None:
    """The folder stands there only when it is whole."""
    fetched, repository = folder.with_suffix(".fetched"), folder.with_suffix(".repository")
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), COPY, "-DincludeScope=runtime"]
    command += [f"-DoutputDirectory={fetched}", f"-Dmaven.repo.local={repository}"]
    for _ in range(TRIES):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
        if done.returncode == 0:
            break
    assert done.returncode == 0, f"Maven did not bring what {pom} names:\n{(done.stdout + done.stderr)[-3000:]}"
    wrong = [name for name, digest in sums.items() if _digest(fetched / name) != digest]
    assert not wrong, f"not what jars.sha256 says: {', '.join(wrong)}"
    shutil.rmtree(repository, ignore_errors=True)
    fetched.rename(folder)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "absent"
