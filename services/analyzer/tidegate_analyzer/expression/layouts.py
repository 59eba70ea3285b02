"""Go's time layouts: the reference time `Mon Jan 2 15:04:05 MST 2006` written the way the text is written."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.quoting import quoted

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
# Longest first where one is the beginning of another: `2006` before `2`, `January` before `Jan`.
_ELEMENT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|-07:00:00|-07:00|-0700|-07|Z07:00|Z0700|Z07|002|01|02|03|04|05|06|15|__2|_2|PM|pm"
    r"|[.,](?:0+|9+)(?!\d)|1|2|3|4|5"
)
_PATTERNS = {
    "January": "(?i:" + "|".join(MONTHS) + ")",
    "Jan": "(?i:" + "|".join(name[:3] for name in MONTHS) + ")",
    "Monday": "(?i:" + "|".join(DAYS) + ")",
    "Mon": "(?i:" + "|".join(name[:3] for name in DAYS) + ")",
    "MST": r"[A-Z]{3,4}|[+-]\d\d",
    "2006": r"\d{4}",
    "06": r"\d\d",
    "002": r"\d{3}",
    "_2": r" ?\d{1,2}",
    "__2": r" {0,2}\d{1,3}",
    "PM": "AM|PM",
    "pm": "am|pm",
    **dict.fromkeys(("01", "02", "03", "04"), r"\d\d"),
    "05": r"\d\d(?:[.,]\d+)?",
    **dict.fromkeys(("1", "2", "3", "4", "15"), r"\d{1,2}"),
    "5": r"\d{1,2}(?:[.,]\d+)?",
    "-0700": r"[+-]\d{4}",
    "-07:00": r"[+-]\d\d:\d\d",
    "-07": r"[+-]\d\d",
    "-07:00:00": r"[+-]\d\d:\d\d:\d\d",
    "Z0700": r"Z|[+-]\d{4}",
    "Z07:00": r"Z|[+-]\d\d:\d\d",
    "Z07": r"Z|[+-]\d\d",
}


def formatted(time: datetime, layout: str) -> str:
    return _ELEMENT.sub(lambda element: _written(time, element.group()), layout)


def _written(time: datetime, element: str) -> str:  # noqa: C901, PLR0912 - one line per element of the layout language
    match element:
        case "2006":
            return f"{time.year:04d}"
        case "06":
            return f"{time.year % 100:02d}"
        case "January" | "Jan":
            return MONTHS[time.month - 1][: len(element) if element == "Jan" else None]
        case "Monday" | "Mon":
            return DAYS[time.isoweekday() % 7][: len(element) if element == "Mon" else None]
        case "01" | "1":
            return f"{time.month:0{len(element)}d}"
        case "02" | "2":
            return f"{time.day:0{len(element)}d}"
        case "_2":
            return f"{time.day:2d}"
        case "002" | "__2":
            day = time.timetuple().tm_yday
            return f"{day:03d}" if element == "002" else f"{day:3d}"
        case "15":
            return f"{time.hour:02d}"
        case "03" | "3":
            return f"{(time.hour - 1) % 12 + 1:0{len(element)}d}"
        case "04" | "4":
            return f"{time.minute:0{len(element)}d}"
        case "05" | "5":
            return f"{time.second:0{len(element)}d}"
        case "PM" | "pm":
            half = "PM" if time.hour >= 12 else "AM"
            return half if element == "PM" else half.lower()
        case "MST":
            return _zone_name(time)
        case _ if element[0] in ".,":
            return _fraction(time, element)
    return _offset(time, element)


def _fraction(time: datetime, element: str) -> str:
    digits = f"{time.microsecond * 1000:09d}"[: len(element) - 1].ljust(len(element) - 1, "0")
    if element[1] == "9":
        digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


def _zone_name(time: datetime) -> str:
    if time.tzinfo is UTC:
        return "UTC"
    name = time.tzname() or ""
    return _offset(time, "-0700") if name.startswith("UTC") and name != "UTC" else name


def _offset(time: datetime, element: str) -> str:
    seconds = int((time.utcoffset() or timedelta()).total_seconds())
    if element[0] == "Z" and seconds == 0:
        return "Z"
    sign, seconds = ("-" if seconds < 0 else "+"), abs(seconds)
    parts = [f"{seconds // 3600:02d}", f"{seconds // 60 % 60:02d}", f"{seconds % 60:02d}"]
    count = {3: 1, 5: 2, 6: 2, 9: 3}[len(element)]
    return sign + (":" if ":" in element else "").join(parts[:count])


def _pattern(name: str, following: str) -> str:
    """Go takes what an element can get and gives nothing back. So does this: a row of `2` would be tried in every way there is."""
    if name[0] in ".,":
        return f"([.,][0-9]{{{len(name) - 1}}})" if name[1] == "0" else "((?:[.,][0-9]++)?+)"
    if name in {"05", "5"} and following[:1] in {".", ","}:
        return r"(\d\d)" if name == "05" else r"(\d{1,2}+)"
    return f"((?>{_PATTERNS[name]}))"


def parsed(text: str, layout: str, zone: tzinfo) -> datetime:
    """time.ParseInLocation: what the layout does not name is zero (year 0 is year 1 here), and the zone is `zone`."""
    elements = list(_ELEMENT.finditer(layout))
    names = [element.group() for element in elements]
    pieces, at = [], 0
    for element, following in zip(elements, [*names, ""][1:], strict=True):
        pieces += [re.escape(layout[at : element.start()]), _pattern(element.group(), following)]
        at = element.end()
    pattern = "".join([*pieces, re.escape(layout[at:])])
    match = re.fullmatch(pattern, text, re.ASCII)
    if match is None:
        raise ExpressionError(f"parsing time {quoted(text)} as {quoted(layout)}: cannot parse {quoted(text)}")
    try:
        return _Fields(zone).read(list(zip(names, match.groups(), strict=True)))
    except ValueError as error:
        raise ExpressionError(f"parsing time {quoted(text)}: {error}") from error


class _Fields:
    """What has been read so far of a time."""

    def __init__(self, zone: tzinfo) -> None:
        self._parts = {"year": 1, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0}
        self._zone = zone
        self._afternoon: bool | None = None

    def read(self, fields: list[tuple[str, str]]) -> datetime:
        for element, text in fields:
            self._take(element, text)
        if self._afternoon is not None:
            self._parts["hour"] = self._parts["hour"] % 12 + 12 * self._afternoon
        return datetime(**self._parts, tzinfo=self._zone)

    def _take(self, element: str, text: str) -> None:
        names = {
            "01": "month", "1": "month", "02": "day", "2": "day", "_2": "day", "15": "hour", "03": "hour", "3": "hour",
            "04": "minute", "4": "minute", "2006": "year",
        }  # fmt: skip
        if element in names:
            self._parts[names[element]] = int(text)
        elif element in {"05", "5"}:
            whole, _, fraction = text.replace(",", ".").partition(".")
            self._parts["second"] = int(whole)
            self._fraction(fraction)
        elif element[0] in ".,":
            self._fraction(text[1:])
        elif element in {"January", "Jan"}:
            self._parts["month"] = [name[:3].lower() for name in MONTHS].index(text[:3].lower()) + 1
        elif element == "06":
            self._parts["year"] = int(text) + (1900 if int(text) >= 69 else 2000)
        elif element in {"PM", "pm"}:
            self._afternoon = text.upper() == "PM"
        elif element[0] in "-Z":
            self._zone = _read_offset(text)

    def _fraction(self, digits: str) -> None:
        if digits:
            self._parts["microsecond"] = int(digits[:6].ljust(6, "0"))


def _read_offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(6, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    return timezone(-offset if text[0] == "-" else offset)
