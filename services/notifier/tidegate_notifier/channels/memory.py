"""A channel that keeps its notes: the reference for the contract, and the double for tests."""

from tidegate_notifier.channel import Note


class MemoryChannel:
    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(self._notes.values())

    async def send(self, note: Note) -> None:
        self._notes.setdefault(note.id, note)
