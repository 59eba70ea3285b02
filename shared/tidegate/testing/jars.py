"""Java programs for tests: their jars, from a Maven repository, without Maven.

Fetched on first use and kept in the user's cache folder; another run that fetches the same is waited for. Each jar must be the one
whose SHA-256 stands in the listing.
"""

import fcntl
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen
from xml.etree import ElementTree as ET

CENTRAL: Final = "https://repo.maven.apache.org/maven2"
TIMES_AT_ONCE: Final = 8
TRIES: Final = 6
PATIENCE_SECONDS: Final = 120.0


def jars(name: str, listing: Path) -> list[Path]:
    """What `listing` names, in its order: lines of a SHA-256 and a path in the repository, as `sha256sum` prints them."""
    sums = _sums(listing)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"
    key = hashlib.sha256(repr(sums).encode()).hexdigest()[:12]
    folder = cache / f"{name}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}-{key}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(repository(os.environ.get("TIDEGATE_MAVEN_REPOSITORY"), Path.home() / ".m2" / "settings.xml"), sums, folder)
    return [folder / PurePosixPath(each).name for each in sums]


def repository(named: str | None, settings: Path) -> str:
    """The one named, or the user's Maven mirror of Central, or Central."""
    if named:
        return named.rstrip("/")
    mirrors = ET.parse(settings).iterfind(".//{*}mirror") if settings.exists() else ()  # noqa: S314 - the user's own
    for mirror in mirrors:
        of = {each.strip() for each in mirror.findtext("{*}mirrorOf", "").split(",")}
        if of & {"central", "*", "external:*"} and "!central" not in of:
            return mirror.findtext("{*}url", CENTRAL).strip().rstrip("/")
    return CENTRAL


def _sums(listing: Path) -> dict[str, str]:
    """Path to sum."""
    lines = (line.split() for line in listing.read_text().splitlines())
    return {path: digest for digest, path in lines}


def _fetch(source: str, sums: dict[str, str], folder: Path) -> None:
    """The folder stands there only when it is whole; what an interrupted run has brought already is not fetched again."""
    fetched = folder.with_suffix(".fetched")
    fetched.mkdir(exist_ok=True)
    with ThreadPoolExecutor(TIMES_AT_ONCE) as pool:
        list(pool.map(partial(_bring, source, fetched), sums, sums.values()))
    fetched.rename(folder)


def _bring(source: str, folder: Path, path: str, digest: str) -> None:
    file = folder / PurePosixPath(path).name
    if _digest(file) == digest:
        return
    file.write_bytes(_body(f"{source}/{path}"))
    assert _digest(file) == digest, f"{source}/{path} is not what the listing says"


def _body(url: str) -> bytes:
    """A registry may hang up, or be busy, now and then."""
    for pause in range(TRIES):
        time.sleep(pause)
        try:
            with urlopen(url, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - a repository that the user names
                return bytes(answer.read())
        except HTTPError as why:
            error: Exception = why
            if why.code in {401, 403, 404}:
                break
        except (OSError, HTTPException) as why:
            error = why
    raise AssertionError(f"{url} did not come: {error}")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "absent"
