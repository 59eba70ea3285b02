"""Lists and maps. Maps have no order in Go; here keys come in the order they were written, so that answers are stable."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tidegate_analyzer.expression import operators, ordering
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.printing import printed
from tidegate_analyzer.expression.values import AnyMap, Duration, equal, integer, map_key, plain_key, type_name


def _kind(value: Any) -> str:
    """What Go calls the kind of a value, in the messages of list functions."""
    match value:
        case None:
            return "invalid"
        case list() | bytes():
            return "slice"
        case dict():
            return "map"
        case Duration():
            return "int64"
    return type_name(value)


def _listed(value: Any, verb: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ExpressionError(f"cannot {verb} {_kind(value)}")


def _mapped(value: Any, verb: str) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    raise ExpressionError(f"cannot {verb}".replace("%", _kind(value)))


def _len(_meter: Meter, value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise ExpressionError(f"invalid argument for len (type {type_name(value)})")


def _type(_meter: Meter, value: Any) -> str:
    match value:
        case None:
            return "nil"
        case float():
            return "float"
        case list() | bytes():
            return "array"
        case dict():
            return "map"
        case Duration() | datetime():
            return type_name(value)
    return type_name(value)


def _end(index: int) -> Callable[[Meter, Any], Any]:
    def element(meter: Meter, value: Any) -> Any:
        return None if isinstance(value, dict) else _get(meter, value, index)

    return element


def _get(_meter: Meter, base: Any, key: Any) -> Any:
    """Like `base[key]`, but nil where that would be out of range."""
    if isinstance(base, dict):
        return base.get(operators.entry_key(base, key))
    if not isinstance(base, list | str | bytes):
        return None
    whole: Any = base.encode() if isinstance(base, str) else base
    index = integer(key)
    return whole[index] if -len(whole) <= index < len(whole) else None


def _take(meter: Meter, value: Any, count: Any) -> list[Any]:
    items = _listed(value, "take from")
    if type(count) is not int:
        raise ExpressionError(f"cannot take {_kind(count)} elements")
    if count < 0:
        raise ExpressionError("reflect.Value.Slice: slice index out of bounds")
    meter.cells(min(count, len(items)))
    return items[:count]


def _keys(meter: Meter, value: Any) -> list[Any]:
    mapping = _mapped(value, "get keys from %")
    meter.cells(len(mapping))
    return [plain_key(key) for key in mapping]


def _values(meter: Meter, value: Any) -> list[Any]:
    mapping = _mapped(value, "get values from %")
    meter.cells(len(mapping))
    return list(mapping.values())


def _to_pairs(meter: Meter, value: Any) -> list[Any]:
    mapping = _mapped(value, "transform % to pairs")
    meter.cells(3 * len(mapping))
    return [[plain_key(key), item] for key, item in mapping.items()]


def _from_pairs(meter: Meter, value: Any) -> AnyMap:
    made = AnyMap()
    for pair in _listed(value, "transform from pairs"):
        if not isinstance(pair, list):
            raise ExpressionError(f"invalid pair {printed(pair, meter)}")
        if len(pair) != 2:
            raise ExpressionError(f"invalid pair length {printed(pair, meter)}")
        meter.cells(1)
        made[map_key(pair[0])] = pair[1]
    return made


def _reverse(meter: Meter, value: Any) -> list[Any]:
    items = _listed(value, "reverse")
    meter.cells(len(items))
    return items[::-1]


def _uniq(meter: Meter, value: Any) -> list[Any]:
    kept: list[Any] = []
    for item in _listed(value, "uniq"):
        if not any(equal(item, seen, meter) for seen in kept):
            kept.append(item)
    meter.cells(len(kept))
    return kept


def _concat(meter: Meter, *values: Any) -> list[Any]:
    joined: list[Any] = []
    for value in values:
        items = _listed(value, "concat")
        meter.cells(len(items))
        joined += items
    return joined


def _flatten(meter: Meter, value: Any) -> list[Any]:
    flat: list[Any] = []
    for item in _listed(value, "flatten"):
        meter.step()
        if isinstance(item, list):
            flat += _flatten(meter, item)
        else:
            flat.append(item)
    meter.cells(len(flat))
    return flat


def _sort(meter: Meter, value: Any, order: Any = "asc") -> list[Any]:
    """Of what is no list, known by its value only, Go makes an empty one; what the types tell is refused before."""
    items = value if isinstance(value, list) else []
    if not isinstance(order, str):
        raise ExpressionError(f"sort order argument must be a string (got {type_name(order)})")
    if order not in {"asc", "desc"}:
        raise ExpressionError(f"invalid order {order}, expected asc or desc")
    meter.cells(len(items))
    return ordering.ordered(items, key=lambda item: item, descending=order == "desc", meter=meter)


TABLE: dict[str, Callable[..., Any]] = {
    "len": _len,
    "type": _type,
    "first": _end(0),
    "last": _end(-1),
    "get": _get,
    "take": _take,
    "keys": _keys,
    "values": _values,
    "toPairs": _to_pairs,
    "fromPairs": _from_pairs,
    "reverse": _reverse,
    "uniq": _uniq,
    "concat": _concat,
    "flatten": _flatten,
    "sort": _sort,
}
