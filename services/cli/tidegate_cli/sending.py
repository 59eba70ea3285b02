"""What the CLI says on the bus and hears from it: requests, answers, outcomes.

A request is a file or a few words; it is checked before it is sent, so that a slip of the pen is not a dead letter.
"""

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tidegate.bus import Bus, Envelope
from tidegate.bus.ids import new_id
from tidegate.config import settings_from
from tidegate.errors import TidegateError
from tidegate.kube.credentials import load
from tidegate.messages import OUTCOMES, Message, RequestAnswered, RolloutOutcome, RolloutRequested
from tidegate.yaml_errors import place_in, reason_of
from tidegate_cli import terminal
from tidegate_cli.connection import Connection
from tidegate_cli.outcomes import Verdict, outcome_line
from tidegate_cli.terminal import Output
from tidegate_cli.yamls import documents

PATIENCE_SECONDS = 15.0  # a server that is there was seen silent for five on a machine that others held
SERVICE = "cli"

Heard = tuple[RolloutOutcome, Envelope]


def requested_change(
    connection: Connection, name: str | None, *, images: Mapping[str, str], file: Path | None, patch: str | None
) -> RolloutRequested:
    """The message to send, from what was given on the command line."""
    manifest = _manifest(file) if file else None
    metadata = (manifest or {}).get("metadata") or {}
    try:
        return RolloutRequested(
            namespace=connection.namespace or metadata.get("namespace") or _namespace_of_context(connection),
            name=name or metadata.get("name") or "",
            manifest=manifest,
            images=dict(images) or None,
            patch=_patch(patch) if patch else None,
        )
    except ValidationError as error:
        raise TidegateError("; ".join(_sentence(dict(each)) for each in error.errors(include_url=False))) from error


async def request(message: RolloutRequested, *, requested_by: str | None, wait: bool, seconds: float, output: Output | None) -> int:
    """Publish, tell the answer and, with `wait`, the outcomes until the last one. The exit code."""
    correlation, verdict = new_id(), None
    async with bus() as link, hearing(link, message.namespace, message.name) as outcomes:
        answer = await link.request(
            message, timeout=seconds or 30.0, requested_by=requested_by or whoami(), correlation=correlation
        )
        _tell_answer(answer, correlation, output=output)
        if not answer.accepted:
            return 1
        if not wait:
            return 0
        verdict = Verdict(correlation=correlation)
        try:
            async with asyncio.timeout(seconds or None):
                async for outcome, envelope in outcomes:
                    tell_outcome(outcome, envelope, output=output)
                    if (code := verdict.exit_code(outcome, correlation=envelope.correlation)) is not None:
                        return code
        except TimeoutError:
            terminal.complain(f"no final outcome within {seconds:g} s; the update goes on")
    return 1


async def events(connection: Connection, name: str | None, *, follow: bool, everywhere: bool, output: Output | None) -> None:
    """All stored outcomes, oldest first (the stream keeps 30 days), and with `follow` every later one."""
    namespace, told = None if everywhere else connection.namespace or _namespace_of_context(connection), False
    async with bus() as link, hearing(link, namespace, name, stored=True, end=not follow) as outcomes:
        async for outcome, envelope in outcomes:
            tell_outcome(outcome, envelope, output=output)
            told = True
    if not told:
        of = (f' of rollout "{name}"' if name else "") + (f' in namespace "{namespace}"' if namespace else "")
        terminal.complain(f"no outcomes{of} in the last 30 days")


def bus() -> AbstractAsyncContextManager[Bus]:
    settings = settings_from(os.environ)
    return Bus.connect(settings, service=SERVICE, streams=(), patience=PATIENCE_SECONDS, answer_seconds=PATIENCE_SECONDS)


@asynccontextmanager
async def hearing(
    link: Bus, namespace: str | None, name: str | None, *, stored: bool = False, end: bool = False
) -> AsyncIterator[AsyncIterator[Heard]]:
    """Outcomes of one rollout, one namespace or all, from the moment this is entered (with `stored`, earlier ones first).

    `end` stops after the stored ones.
    """
    queue: asyncio.Queue[Heard | None] = asyncio.Queue()
    ids: set[str] = set()  # a feed that has missed something begins again

    def heard(message: Message, envelope: Envelope) -> None:
        if isinstance(message, RolloutOutcome) and _is_about(message, namespace, name) and envelope.id not in ids:
            ids.add(envelope.id)
            queue.put_nowait((message, envelope))

    feed = link.feed(OUTCOMES, "tidegate.rollout.>", heard, beginning="all" if stored else "new")
    await feed.caught_up.wait()
    if end:
        queue.put_nowait(None)

    async def stream() -> AsyncIterator[Heard]:
        while (item := await queue.get()) is not None:
            yield item

    yield stream()


def tell_outcome(outcome: RolloutOutcome, envelope: Envelope, *, output: Output | None) -> None:
    if output is Output.JSON:
        from tidegate.bus.envelope import structured

        terminal.print_json_line(structured(envelope, outcome.model_dump(mode="json")))
    else:
        terminal.say(outcome_line(outcome, time=envelope.time))


def whoami() -> str:
    """Written into the audit log; the bus's own authentication is what proves it."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _is_about(outcome: RolloutOutcome, namespace: str | None, name: str | None) -> bool:
    return (namespace is None or outcome.namespace == namespace) and (name is None or outcome.name == name)


def _tell_answer(answer: RequestAnswered, correlation: str, *, output: Output | None) -> None:
    if output is Output.JSON:
        terminal.print_json_line({**answer.model_dump(mode="json"), "correlationid": correlation})
    elif answer.accepted:
        terminal.say(f"rollout '{answer.name}' request accepted (correlation {correlation})")
    else:
        terminal.complain(f"refused: {answer.reason}")


def _manifest(file: Path) -> dict[str, Any]:
    found = [each for each in documents(file) if each.get("kind") == "Rollout"]
    if len(found) != 1:
        raise TidegateError(f"{file} holds {len(found)} Rollouts; a request carries exactly one")
    return found[0]


def _patch(text: str) -> dict[str, Any]:
    try:
        patch = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TidegateError(f"--patch{place_in(text, error)}: neither JSON nor YAML: {reason_of(error)}") from error
    if not isinstance(patch, dict):
        raise TidegateError(f'--patch is {text!r}; it must be an object such as \'{{"spec": {{"replicas": 3}}}}\'')
    return patch


def _sentence(error: Mapping[str, Any]) -> str:
    place = ".".join(str(each) for each in error["loc"])
    return f"{place} is {error['input']!r}: {error['msg']}" if place else str(error["msg"]).removeprefix("Value error, ")


def _namespace_of_context(connection: Connection) -> str:
    """As kubectl would choose it; a machine that only talks to the bus needs no kubeconfig."""
    usual = Path.home() / ".kube" / "config"
    file = connection.kubeconfig or (usual if usual.exists() else None)
    return load(file, context=connection.context).namespace if file else "default"
