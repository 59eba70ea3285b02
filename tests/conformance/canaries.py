"""Basic canaries: pods alone carry the weight."""

import asyncio
from datetime import UTC, datetime

from objects import SERVICES, canary, pause, rollout, services, weight
from play import Play


async def steps(play: Play) -> None:
    await play.first(rollout(canary(weight(25), pause(), weight(50), pause("2s"), weight(75))))
    await play.image("v2")
    await play.paused()
    await play.promote()
    await play.healthy()


async def no_steps(play: Play) -> None:
    await play.first(rollout({"canary": {}}))
    await play.image("v2")
    await play.healthy()


async def unavailable_only(play: Play) -> None:
    plan = canary(weight(20), pause("1s"), weight(60), pause("1s"), maxSurge=0, maxUnavailable=2)
    await play.first(rollout(plan, replicas=5))
    await play.image("v2")
    await play.healthy()


async def abort(play: Play) -> None:
    await play.first(rollout(canary(weight(50), pause())))
    await play.image("v2")
    await play.paused()
    await play.abort()
    await play.degraded()
    await asyncio.sleep(3)


async def promote_full(play: Play) -> None:
    await play.first(rollout(canary(weight(25), pause(), weight(50), pause())))
    await play.image("v2")
    await play.paused()
    await play.promote_full()
    await play.healthy()


async def second_revision(play: Play) -> None:
    await play.first(rollout(canary(weight(50), pause())))
    await play.image("v2")
    await play.paused()
    await play.image("v3")
    await asyncio.sleep(1)
    await play.paused()
    await play.promote()
    await play.healthy()


async def spec_paused(play: Play) -> None:
    await play.first(rollout(canary(weight(50), pause("1s"), weight(75), pause("1s"))))
    await play.patch({"spec": {"paused": True}})
    await play.phase("Paused", "manually")
    await play.image("v2")
    await asyncio.sleep(3)
    await play.patch({"spec": {"paused": False}})
    await play.healthy()


async def bad_image_deadline(play: Play) -> None:
    await play.first(rollout(canary(weight(50), pause()), progressDeadlineSeconds=4))
    await play.image("bad-image")
    await play.degraded("ProgressDeadlineExceeded")


async def steps_edited(play: Play) -> None:
    await play.first(rollout(canary(weight(25), pause())))
    await play.image("v2")
    await play.paused()
    await play.steps(weight(50), pause("1s"))
    await play.healthy()


async def with_services(play: Play) -> None:
    await play.first(*services("stable", "canary"), rollout(canary(weight(25), pause(), **SERVICES)))
    await play.led_to_the_present_version("stable", "canary")  # Healthy does not wait for them
    await play.image("v2")
    await play.paused()
    await play.promote()
    await play.healthy()


async def ephemeral_metadata(play: Play) -> None:
    labels = {role: {"labels": {"role": role}} for role in ("canary", "stable")}
    plan = canary(weight(50), pause(), canaryMetadata=labels["canary"], stableMetadata=labels["stable"])
    await play.first(rollout(plan))
    await play.image("v2")
    await play.paused()
    await play.promote()
    await play.healthy()
    await asyncio.sleep(2)


async def restart_pods(play: Play) -> None:
    await play.first(rollout(canary(weight(50))))
    await asyncio.sleep(1.2)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - what the plugin would write
    await play.patch({"spec": {"restartAt": at}})
    await play.until(lambda: play.status.get("restartedAt"), "status.restartedAt")
    await play.healthy()


SCENARIOS = {
    "canary-steps": steps,
    "canary-no-steps": no_steps,
    "canary-unavailable-only": unavailable_only,
    "canary-abort": abort,
    "canary-promote-full": promote_full,
    "canary-second-revision": second_revision,
    "canary-spec-paused": spec_paused,
    "canary-bad-image-deadline": bad_image_deadline,
    "canary-steps-edited": steps_edited,
    "canary-services": with_services,
    "canary-ephemeral-metadata": ephemeral_metadata,
    "restart-pods": restart_pods,
}
