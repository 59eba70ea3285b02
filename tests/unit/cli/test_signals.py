"""Being told to end, while in plain code and while in a loop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tidegate_cli.local.signals import ending_on_signals

TOLD = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(params=TOLD)
def told(request: pytest.FixtureRequest) -> signal.Signals:
    number: signal.Signals = request.param
    return number


@pytest.fixture
def interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_plain_code_is_interrupted(told: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        os.kill(os.getpid(), told)


@pytest.mark.usefixtures("interrupts_ignored")
def test_it_is_heard_where_interrupts_are_ignored(told: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        os.kill(os.getpid(), told)


def test_a_callback_that_catches_everything_does_not_swallow_it(told: signal.Signals) -> None:
    async def goes_on() -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), told)
        await asyncio.sleep(0)
        pytest.fail("went on as if never told")

    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        asyncio.run(goes_on())


def test_the_loop_runs_its_finally_blocks(told: signal.Signals) -> None:
    cleaned = []

    async def works() -> None:
        try:
            os.kill(os.getpid(), told)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(told)

    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        asyncio.run(works())
    assert cleaned == [told]


def test_afterwards_the_handlers_are_those_of_before() -> None:
    before = [signal.getsignal(each) for each in TOLD]
    with ending_on_signals():
        pass
    assert [signal.getsignal(each) for each in TOLD] == before
