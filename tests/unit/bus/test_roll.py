"""A member that falls silent is missed in time for its share to be taken over within three seconds, and not before its time."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus.roll import BEAT_SECONDS, SILENCE_SECONDS, Roll

TAKEN_OVER_WITHIN = 3.0


def missed_after(last_word: float, first_look: float) -> float:
    """The age of the last word at the look that finds its sender gone, for somebody who looks with each beat."""
    roll, now = Roll("me"), first_look
    roll.heard("other", last_word)
    while roll.live(now) != {"me"}:
        now += BEAT_SECONDS
    return now - last_word


@given(phase=st.floats(0, BEAT_SECONDS))
def test_the_silent_one_is_missed_with_half_a_second_to_spare_wherever_its_last_word_fell(phase: float) -> None:
    assert SILENCE_SECONDS <= missed_after(100.0, 100.0 + phase) <= TAKEN_OVER_WITHIN - BEAT_SECONDS


@given(lost=st.lists(st.integers(0, 2), max_size=20))
def test_two_lost_beats_in_a_row_take_nobody_for_dead(lost: list[int]) -> None:
    """Between two that arrive at most two are lost; the look falls on the very moment before the next."""
    roll, now = Roll("me"), 0.0
    roll.heard("other", now)
    for missing in lost:
        now += BEAT_SECONDS * (missing + 1)
        assert roll.live(now) == {"me", "other"}
        roll.heard("other", now)


def test_who_says_good_bye_is_gone_at_once() -> None:
    roll = Roll("me")
    roll.heard("other", 1.0)
    roll.left("other")
    assert roll.live(1.0) == {"me"}


def test_after_a_time_in_which_nobody_could_be_heard_everybody_gets_a_new_chance() -> None:
    roll = Roll("me")
    roll.heard("other", 1.0)
    roll.forgive(100.0)
    assert roll.live(101.0) == {"me", "other"}
    assert roll.live(102.0) == {"me"}


def test_ones_own_beats_are_nobody_else() -> None:
    roll = Roll("me")
    roll.heard("me", 1.0)
    assert roll.live(100.0) == {"me"}
