"""A channel that keeps its notes: reference of the contract, double for tests. `before` may raise, as a network does."""

from collections.abc import Callable

from tidegate_notifier.channel import Note


class Memory:
    def __init__(self) -> None:
        self.before: Callable[[Note], None] = lambda _note: None
        self._notes: dict[str, Note] = {}

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(self._notes.values())

    async def send(self, note: Note) -> None:
        self.before(note)
        self._notes.setdefault(note.id, note)
