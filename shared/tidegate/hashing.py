"""Hashes that name ReplicaSets and detect changed steps.

Rule of this file: the same JSON value gives the same hash for ever, whatever the order of its keys. A changed formula would start a
rollout of everything at once after an upgrade, so the golden values in the tests may never be edited.

The peer's own formula (`argo-behaviour.md` 2.1) depends on the field order of Go structs and is not reproduced: a takeover finds
the existing ReplicaSet by its template (`tidegate.podtemplate`) and goes on with the hash on its label.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

# No vowels and none of 0, 1, 3: a hash can neither spell a word nor be misread. Every letter may begin and end a label value.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_WIDTH = 7  # 27^7 > 2^32: all 32 bits fit


def pod_template_hash(template: Mapping[str, Any], collision_count: int | None = None) -> str:
    """`collision_count` is `status.collisionCount`: each one more moves the template off a name held by an unequal ReplicaSet."""
    salt = (collision_count or 0).to_bytes(8, "little")
    return _encoded(orjson.dumps(template, option=orjson.OPT_SORT_KEYS), salt)


def steps_hash(steps: Sequence[Any] | None) -> str:
    """A changed hash restarts an update at step 0; absent and empty are both "no steps"."""
    return _encoded(orjson.dumps(steps or [], option=orjson.OPT_SORT_KEYS), bytes(8))


def _encoded(content: bytes, salt: bytes) -> str:
    number = int.from_bytes(hashlib.blake2b(content, digest_size=4, salt=salt).digest(), "big")
    letters = []
    for _ in range(_WIDTH):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)
