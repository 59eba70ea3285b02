"""Carry out a lifecycle verb on the cluster and say what was done. What is written is decided in `verbs`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from tidegate import verbs
from tidegate.errors import TidegateError
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import ANALYSIS_RUN, EXPERIMENT, ROLLOUT, Kind
from tidegate.verbs import Patch
from tidegate_cli import terminal
from tidegate_cli.ages import short
from tidegate_cli.cluster import Place, connected
from tidegate_cli.connection import Connection
from tidegate_cli.tree import Object

RUNS = {"analysisrun": ANALYSIS_RUN, "ar": ANALYSIS_RUN, "experiment": EXPERIMENT, "exp": EXPERIMENT}


async def promote(connection: Connection, name: str, *, full: bool) -> None:
    decide = verbs.full_promotion if full else verbs.promotion
    await _steer(connection, name, decide, done="fully promoted" if full else "promoted", idle="has nothing to promote")


async def abort(connection: Connection, name: str) -> None:
    await _steer(connection, name, verbs.abortion, done="aborted")


async def retry(connection: Connection, kind: str, name: str) -> None:
    if kind in ("rollout", "ro"):
        await _steer(connection, name, verbs.retrial, done="retried")
        return
    async with connected(connection) as place:
        await _patch_run(place, EXPERIMENT, name, verbs.experiment_retrial({"metadata": {"name": name}}))
    terminal.say(f"experiment '{name}' retried")


async def pause(connection: Connection, name: str) -> None:
    await _steer(connection, name, verbs.pausing, done="paused")


async def restart(connection: Connection, name: str, *, after: float) -> None:
    at = terminal.now() + timedelta(seconds=after)
    await _steer(connection, name, lambda _: verbs.restarting(_, at=at), done=f"restarts in {short(timedelta(seconds=after))}")


async def undo(connection: Connection, name: str, *, to_revision: int) -> None:
    async with connected(connection) as place:
        rollout = await place.rollout(name)
        undoing = verbs.undoing(
            rollout, await place.replica_sets(), to_revision=to_revision, workload=await place.workload(rollout)
        )
        await place.write(undoing.patches)
    if undoing.patches:
        terminal.say(f"rollout '{name}' undo to revision {undoing.revision}")
    else:
        terminal.say(f"skipped rollback (current template already matches revision {undoing.revision})")


async def set_image(connection: Connection, name: str, images: Mapping[str, str]) -> None:
    async with connected(connection) as place:
        rollout = await place.rollout(name)
        reference = rollout["spec"].get("workloadRef")
        kind, holder = (verbs.workload_kind(rollout), reference["name"]) if reference else (ROLLOUT, name)

        async def read() -> Object:
            return await place.api.get(kind, place.namespace, holder)

        changed = await place.write_decided(read, lambda found: verbs.new_images(found, kind, images))
    what = f"rollout '{name}'" if kind is ROLLOUT else f"{kind.kind.lower()} '{holder}' of rollout '{name}'"
    terminal.say(f"{what} image updated" if changed else f"{what} has this image already")


async def terminate(connection: Connection, kind: str, name: str) -> None:
    async with connected(connection) as place:
        await _patch_run(place, RUNS[kind], name, verbs.termination(RUNS[kind], name))
    terminal.say(f"{RUNS[kind].kind.lower()} '{name}' terminated")


async def _steer(
    connection: Connection, name: str, decide: Callable[[Object], Sequence[Patch]], *, done: str, idle: str = ""
) -> None:
    async with connected(connection) as place:
        patches = decide(await place.rollout(name))
        await place.write(patches)
    terminal.say(f"rollout '{name}' {done if patches else idle}")


async def _patch_run(place: Place, kind: Kind, name: str, patches: Sequence[Patch]) -> None:
    try:
        await place.write(patches)
    except NotFound as error:
        raise TidegateError(await place.why_not_found(kind, name)) from error
