"""Which member works on which key: rendezvous hashing. Pure.

Each member scores each key, the highest score owns it. All members that know the same set agree without talking, and when one
goes only its own keys move (a modulus would move nearly all).
"""

from collections.abc import Iterable
from hashlib import blake2b


def owner(key: str, members: Iterable[str]) -> str:
    """The member that a key belongs to. `members` must not be empty."""
    return max(members, key=lambda member: (_score(key, member), member))


def _score(key: str, member: str) -> bytes:
    return blake2b(key.encode(), digest_size=8, key=blake2b(member.encode(), digest_size=16).digest()).digest()
