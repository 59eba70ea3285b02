"""The roll of a group: who was heard when, and who is therefore alive. Pure: `now` is an argument, in seconds of any clock that
only goes forward.

Beats come twice a second and two seconds of silence mean gone. Looked at with each beat, a dead member is missed within two and
a half seconds of its last word, so that its share is taken over within three. Two beats in a row may be lost; with a third a member
that lives may be taken for dead, which costs some refused writes and nothing else.
"""

BEAT_SECONDS = 0.5
SILENCE_SECONDS = 2.0


class Roll:
    """`me` is always on it."""

    def __init__(self, me: str) -> None:
        self.me = me
        self._heard: dict[str, float] = {}

    def heard(self, member: str, now: float) -> None:
        if member != self.me:
            self._heard[member] = now

    def left(self, member: str) -> None:
        """It said so."""
        self._heard.pop(member, None)

    def forgive(self, now: float) -> None:
        """Nobody could be heard for a while: everybody gets a new chance."""
        self._heard = dict.fromkeys(self._heard, now)

    def live(self, now: float) -> frozenset[str]:
        """Those heard within the last `SILENCE_SECONDS`; who was not is forgotten."""
        self._heard = {member: at for member, at in self._heard.items() if now - at < SILENCE_SECONDS}
        return frozenset(self._heard) | {self.me}
