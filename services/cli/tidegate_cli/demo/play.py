"""Starts what the demonstration needs, plays it, and leaves nothing behind: no process, no folder, no namespace."""

import asyncio
import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegate.bus import Bus
from tidegate.config import settings_from
from tidegate.errors import TidegateError
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.kinds import NAMESPACE
from tidegate_cli import terminal
from tidegate_cli.demo.scenario import Answer, Scenario
from tidegate_cli.demo.screens import Screen, screen
from tidegate_cli.local.background import down, state_file, up
from tidegate_cli.local.controlplanes import Choice, chosen
from tidegate_cli.local.services import ServiceDied, tail
from tidegate_cli.local.signals import ending_on_signals
from tidegate_cli.local.stack import running_stack

MANIFEST = Path("deploy/examples/seed-rollout.yaml")
CONNECT_SECONDS = 30.0
DEFAULT = "default"

__all__ = ["Answer", "play"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the scenario is played on."""

    kubeconfig: Path
    nats_url: str
    namespace: str
    check: Callable[[], None]


def play(*, answer: Answer, keep: bool, choice: Choice) -> int:
    """The exit code. Ctrl-C and SIGTERM at any time end everything that was started."""
    manifest = seed_manifest()
    try:
        with ending_on_signals(), screen() as shown, _kept(choice) if keep else _fleeting(choice, shown) as ground:
            asyncio.run(_play(ground, shown, manifest, answer))
            if keep:
                _tell_how_to_go_on(ground)
            else:
                shown.say("\ncleaning up")
    except KeyboardInterrupt:
        terminal.complain("interrupted; everything that was started has been ended")
        return 130
    return 0


def seed_manifest(start: Path = Path(__file__)) -> Path:
    """The example of the source tree this runs from; an installed wheel has none."""
    for folder in start.parents:
        if (folder / MANIFEST).exists():
            return folder / MANIFEST
    raise TidegateError(f"{MANIFEST} was not found; run the demo from a checkout of the repository")


@contextmanager
def _fleeting(choice: Choice, shown: Screen) -> Iterator[Ground]:
    namespace = _namespace_for(choice)
    with ExitStack() as parts:
        logs = Path(tempfile.mkdtemp(prefix="tidegate-demo-"))
        parts.callback(shutil.rmtree, logs, ignore_errors=True)
        only = namespace if namespace != DEFAULT else None
        stack = parts.enter_context(running_stack(choice=choice, logs=logs, report=shown.say, with_services=True, namespace=only))
        kubeconfig = stack.control_plane.kubeconfig
        if namespace != DEFAULT:
            asyncio.run(_create_namespace(kubeconfig, namespace))
            parts.callback(lambda: asyncio.run(_delete_namespace(kubeconfig, namespace)))
            shown.say(f"namespace       {namespace}; it is deleted in the end, the CRDs stay")
        try:
            yield Ground(kubeconfig=kubeconfig, nats_url=stack.nats_url, namespace=namespace, check=stack.check)
        except TidegateError as error:
            if not isinstance(error, ServiceDied):  # which shows the end of its log itself
                shown.say("\n" + "\n".join(f"{each.name}{tail(each)}" for each in stack.children))
            raise


@contextmanager
def _kept(choice: Choice) -> Iterator[Ground]:
    """Runs on after us if the scenario succeeds; a failed one is ended."""
    namespace, file = _namespace_for(choice), state_file()
    settings = up(choice=choice, with_services=True, file=file).settings
    kubeconfig = Path(settings["KUBECONFIG"])
    try:
        if namespace != DEFAULT:
            asyncio.run(_create_namespace(kubeconfig, namespace))
        yield Ground(kubeconfig=kubeconfig, nats_url=settings["NATS_URL"], namespace=namespace, check=lambda: None)
    except BaseException:
        down(file)
        raise


def _namespace_for(choice: Choice) -> str:
    """In a cluster that is not ours, the demonstration keeps to a namespace of its own."""
    return f"tidegate-demo-{secrets.token_hex(3)}" if chosen(choice, os.environ) is Choice.CURRENT else DEFAULT


async def _create_namespace(kubeconfig: Path, name: str) -> None:
    async with Kube(load(kubeconfig), user_agent="tidegate-cli/0") as kube:
        await kube.create(NAMESPACE, {"metadata": {"name": name}})


async def _delete_namespace(kubeconfig: Path, name: str) -> None:
    async with Kube(load(kubeconfig), user_agent="tidegate-cli/0") as kube:
        await kube.delete(NAMESPACE, None, name)


async def _play(ground: Ground, shown: Screen, manifest: Path, answer: Answer) -> None:
    settings: Mapping[str, str] = {**os.environ, "NATS_URL": ground.nats_url, "KUBECONFIG": str(ground.kubeconfig)}
    async with (
        Kube(load(ground.kubeconfig), user_agent="tidegate-cli/0") as kube,
        Bus.connect(
            settings_from(settings), service="demo", streams=(), patience=CONNECT_SECONDS, answer_seconds=CONNECT_SECONDS
        ) as bus,
    ):
        await Scenario(
            kube=kube,
            bus=bus,
            screen=shown,
            namespace=ground.namespace,
            manifest=manifest,
            answer=answer,
            check=ground.check,
        ).play()


def _tell_how_to_go_on(ground: Ground) -> None:
    terminal.say("\nleft running; `tidegate down` ends it. In this shell:\n")
    terminal.say(f"export KUBECONFIG={shlex.quote(str(ground.kubeconfig))}")
    terminal.say(f"export NATS_URL={ground.nats_url}")
    terminal.say(f"tidegate get rollout rollout-canary-demo --namespace {ground.namespace} --watch")
