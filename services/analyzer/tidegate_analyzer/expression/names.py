"""Names with a meaning of their own: those that take a body, and those of the environment."""

from enum import Enum, auto


class Part(Enum):
    VALUE = auto()
    BODY = auto()
    OPTIONAL_BODY = auto()
    OPTIONAL_VALUE = auto()

    @property
    def is_optional(self) -> bool:
        return self in {Part.OPTIONAL_BODY, Part.OPTIONAL_VALUE}

    @property
    def is_body(self) -> bool:
        return self in {Part.BODY, Part.OPTIONAL_BODY}


_PLAIN = (Part.VALUE, Part.BODY)
PREDICATES: dict[str, tuple[Part, ...]] = {
    **dict.fromkeys(("all", "none", "any", "one", "filter", "map", "groupBy"), _PLAIN),
    **dict.fromkeys(("find", "findIndex", "findLast", "findLastIndex"), _PLAIN),
    **dict.fromkeys(("count", "sum"), (Part.VALUE, Part.OPTIONAL_BODY)),
    **dict.fromkeys(("sortBy", "reduce"), (Part.VALUE, Part.BODY, Part.OPTIONAL_VALUE)),
}

RESULT = "result"
WHOLE_ENVIRONMENT = "$env"
