"""Requests lost and sent again, doubled, late, out of order, over an API server that loses answers: the same runs in the end."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus import Envelope
from tidegate.errors import Retry
from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.kube.memory import Call, MemoryKube
from tidegate.messages import AnalysisRequested
from tidegate_analyzer.requests import Requests

RUNS = ("one", "two")
Asked = tuple[str, str]
"""Which run, and "start" or "end"."""


def request(asked: Asked, attempt: int) -> AnalysisRequested:
    """Each attempt at a start has other words: only the first one that arrives may count."""
    name, verb = asked
    manifest = {"metadata": {"namespace": "shop", "name": name, "labels": {"attempt": str(attempt)}}, "spec": {"metrics": []}}
    starts = verb == "start"
    return AnalysisRequested(
        namespace="shop", name=name, rollout="web", manifest=manifest if starts else None, terminate=not starts
    )


async def runs_after(deliveries: Sequence[Asked], losses: dict[int, str]) -> dict[str, tuple[str, bool]]:
    """Run -> (the attempt that made it, asked to end). A delivery that loses a request or its answer comes again."""
    kube = MemoryKube()
    handler = Requests(kube=kube, namespace=None)

    def lose(_: Call) -> None:
        raise ServerUnavailable("lost", status=0)

    for turn, asked in enumerate(deliveries):
        if turn in losses:
            setattr(kube, losses[turn], lose)
            with contextlib.suppress(Retry):
                await handler.handle(request(asked, turn), Envelope(id=str(turn)))
            kube.before = kube.after = lambda _: None
        await handler.handle(request(asked, turn), Envelope(id=str(turn)))
    found: list[Any] = kube.snapshot(ANALYSIS_RUN, "shop", None)
    ends = {each["metadata"]["name"]: bool(each["spec"].get("terminate")) for each in found}
    return {each["metadata"]["name"]: (each["metadata"]["labels"]["attempt"], ends[each["metadata"]["name"]]) for each in found}


@given(
    st.lists(st.tuples(st.sampled_from(RUNS), st.sampled_from(["start", "end"])), max_size=12),
    st.dictionaries(st.integers(0, 12), st.sampled_from(["before", "after"]), max_size=5),
)
def test_each_run_is_started_once_and_ended_by_any_word_that_comes_after(deliveries: list[Asked], losses: dict[int, str]) -> None:
    """A word to end that overtook the start finds nothing; the planner says it again while it sees a run that nobody waits for."""
    expected = {}
    for name in RUNS:
        starts = [turn for turn, asked in enumerate(deliveries) if asked == (name, "start")]
        if starts:
            expected[name] = (str(starts[0]), (name, "end") in deliveries[starts[0] :])
    assert asyncio.run(runs_after(deliveries, losses)) == expected
