"""From what a planner records on a real bus to the Events that a real API server lists."""

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.bus import NOTIFIER_EVENTS
from tidegate.bus.topology import DEAD
from tidegate.kube.kinds import EVENT
from tidegate.messages import OUTCOMES, EventsRecorded, Record
from tidegate_notifier.render import COMPONENT

pytestmark = pytest.mark.integration
PATIENCE = 300.0  # seconds; only costs time when something is broken
AT = datetime(2026, 11, 23, 4, 5, 6, 789, UTC)


def recorded(namespace, *reasons, name="web", at=AT, kind="Rollout"):
    records = tuple(Record(reason=reason, message=f"{reason} happened") for reason in reasons)
    return EventsRecorded(namespace=namespace, name=name, service="planner", kind=kind, uid="6f1c", at=at, records=records)


async def events(kube, namespace):
    found, _ = await kube.list(EVENT, namespace)
    return [event for event in found if event["source"].get("component") == COMPONENT]


async def until(condition, *, what):
    try:
        async with asyncio.timeout(PATIENCE):
            while not (answer := await condition()):  # noqa: ASYNC110 - an API server has no events of asyncio
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:.0f} s in vain for {what}") from None
    return answer


async def until_events(kube, namespace, number):
    async def there():
        found = await events(kube, namespace)
        return found if len(found) >= number else None

    return await until(there, what=f"{number} Events in {namespace}")


@contextlib.asynccontextmanager
async def process(nats_url, control_plane, **settings):
    """The notifier as it is run; asked to end, it ends with code 0."""
    environ = {**os.environ, "NATS_URL": nats_url, "KUBECONFIG": str(control_plane.kubeconfig), **settings}
    running = await asyncio.create_subprocess_exec(str(Path(sys.executable).parent / "tidegate-notifier"), env=environ)
    try:
        yield running
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                assert await running.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def settled(planner):
    """The consumer, once it has nothing left to do."""

    async def idle():
        info = await planner.js.consumer_info(OUTCOMES, NOTIFIER_EVENTS.name)
        return info if info.num_pending == 0 and info.num_ack_pending == 0 else None

    return await until(idle, what="the consumer to be idle")


async def test_what_is_recorded_is_listed_as_events_in_its_order(nats, control_plane, kube, namespace, planner):
    async with process(nats.url, control_plane):
        await planner.publish(recorded(namespace, *(f"Reason{place}" for place in range(15))), id="m-1")
        listed = await until_events(kube, namespace, 15)
    assert [event["reason"] for event in listed] == [f"Reason{place}" for place in range(15)]
    last = listed[-1]
    del last["metadata"]["managedFields"], last["metadata"]["uid"], last["metadata"]["resourceVersion"]
    del last["metadata"]["creationTimestamp"]
    assert last == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": last["metadata"]["name"], "namespace": namespace},
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "namespace": namespace,
            "name": "web",
            "uid": "6f1c",
        },
        "type": "Normal",
        "reason": "Reason14",
        "action": "Reason14",
        "message": "Reason14 happened",
        "source": {"component": "rollouts-controller"},
        "reportingComponent": "tidegate",
        "reportingInstance": "tidegate-notifier",
        "count": 1,
        "firstTimestamp": "2026-11-23T04:05:06Z",
        "lastTimestamp": "2026-11-23T04:05:06Z",
        "eventTime": "2026-11-23T04:05:06.000803Z",
    }


async def test_a_message_told_again_under_its_id_writes_nothing_twice(nats, control_plane, kube, namespace, planner):
    async with process(nats.url, control_plane):
        await planner.publish(recorded(namespace, "A", "B"), id="m-1")
        await until_events(kube, namespace, 2)
        await planner.js.delete_stream(OUTCOMES)  # and with it the memory of ids: the repeat is not dropped on the way
        await planner.publish(recorded(namespace, "A", "B"), id="m-1")
        await planner.publish(recorded(namespace, "C", name="other"), id="m-2")
        listed = await until_events(kube, namespace, 3)
        await settled(planner)
    assert sorted(event["reason"] for event in listed) == ["A", "B", "C"]


async def test_a_message_that_cannot_be_read_is_a_dead_letter_and_the_next_is_served(nats, control_plane, kube, namespace, planner):
    async with process(nats.url, control_plane):
        await planner.js.publish(f"tidegate.recorded.planner.{namespace}.web", b'{"uid": 7}')
        await planner.publish(recorded(namespace, "R" * 129), id="m-refused")
        await planner.publish(recorded(namespace, "Next"), id="m-next")
        (listed,) = await until_events(kube, namespace, 1)
        await settled(planner)
    assert listed["reason"] == "Next"
    letters = [await planner.js.get_msg(DEAD, seq=number) for number in (1, 2)]
    unread, refused = (letter.headers["tidegate-dead-reason"] for letter in letters)
    assert "not a valid EventsRecorded: uid: Input should be a valid string, got '7'" in unread
    assert refused.startswith(f"Event {'R' * 129} on Rollout {namespace}/web: ")
    assert "reason: Invalid value" in refused
    assert {letter.subject for letter in letters} == {"tidegate.dead.notifier-events"}


class DeafLine:
    """A TCP line to the server that can be made to swallow what the client says, acknowledgements among it."""

    def __init__(self, port):
        self._port = port
        self._tasks = set()
        self.swallows = asyncio.Event()
        self.url = ""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader, writer):
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, heard=lambda: not self.swallows.is_set()))
                group.create_task(self._pump(there, writer, heard=lambda: True))
        except* ConnectionError:
            pass
        finally:
            for each in (writer, back):
                each.close()
            for each in (writer, back):
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    @staticmethod
    async def _pump(source, sink, *, heard):
        while chunk := await source.read(65536):
            if heard():
                sink.write(chunk)
                await sink.drain()
        sink.write_eof()


async def test_killed_between_the_writes_and_the_acknowledgement_it_leaves_each_event_once(
    nats, control_plane, kube, namespace, planner
):
    """Nobody says that the message is being worked on, so a first one that is slow may be handed it more than once itself."""
    async with DeafLine(nats.port) as line, process(line.url, control_plane) as first:
        await planner.publish(recorded(namespace, "Warm"), id="m-warm")
        await until_events(kube, namespace, 1)
        await settled(planner)
        line.swallows.set()
        await planner.publish(recorded(namespace, *(f"R{n}" for n in range(8))), id="m-1")
        await until_events(kube, namespace, 9)
        first.kill()
        await first.wait()
    assert (await planner.js.consumer_info(OUTCOMES, NOTIFIER_EVENTS.name)).num_ack_pending == 1
    async with process(nats.url, control_plane):
        info = await settled(planner)
    assert info.delivered.consumer_seq > info.delivered.stream_seq, "the message was not handed out a second time"
    assert sorted(event["reason"] for event in await events(kube, namespace)) == sorted(["Warm", *(f"R{n}" for n in range(8))])
