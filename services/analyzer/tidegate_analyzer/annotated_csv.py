"""The annotated CSV of Flux: tables one after another, each with rows of annotations, a header and records.

    #datatype,string,long,double
    #group,false,false,false
    #default,_result,,
    ,result,table,_value
    ,,0,1.5

Pure. Times, durations and bytes stay the text they come as; conditions see JSON values only.
"""

import csv
import io
from collections.abc import Sequence

from tidegate.errors import TidegateError

Value = float | int | bool | str | None

TEXTS = frozenset({"string", "dateTime:RFC3339", "dateTime:RFC3339Nano", "duration", "base64Binary"})


class BadCsv(TidegateError):  # noqa: N818 - reads as the fact it states
    """No answer of Flux, or one that tells an error. The text says which."""


def column(text: str, name: str) -> list[Value]:
    """The values of one column in all records of all tables; None where a table has no such column."""
    values: list[Value] = []
    table: _Table | None = None
    annotating = False
    for row in _rows(text):
        if row[0].startswith("#"):
            if table is None or not annotating:
                table = _Table()
            table.annotate(row)
            annotating = True
        elif table is None:
            table = _failed(row)
        elif annotating:
            table.header = row
            annotating = False
        elif table.header[1:2] == ["error"]:
            raise BadCsv(_told(row))
        else:
            values.append(table.value(row, name))
    if table is not None and annotating:
        raise BadCsv("the answer of InfluxDB ends before its header")
    return values


class _Table:
    def __init__(self) -> None:
        self.header: Sequence[str] = ()
        self._types: Sequence[str] = ()
        self._defaults: Sequence[str] = ()

    def annotate(self, row: Sequence[str]) -> None:
        match row[0]:
            case "#datatype":
                self._types = row
            case "#default":
                self._defaults = row

    def value(self, row: Sequence[str], name: str) -> Value:
        if name not in self.header:
            return None
        at = list(self.header).index(name)
        if len(row) <= at or len(self._types) <= at:
            raise BadCsv(f"parsing error, row has different number of columns than the table: {len(row)} vs {len(self._types)}")
        return _typed(row[at] or (self._defaults[at] if len(self._defaults) > at else ""), self._types[at], name)


def _rows(text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise BadCsv(f"the answer of InfluxDB is not CSV: {error}") from error


def _failed(header: Sequence[str]) -> _Table:
    """A failure before the first table may come without annotations and without the column they stand in."""
    if "error" not in header[:2]:
        raise BadCsv("parsing error, annotations not found")
    table = _Table()
    table.header = ["", "error"]
    return table


def _told(row: Sequence[str]) -> str:
    message, reference, *_ = [*(row if row[0] else row[1:]), "", ""]
    return f"{message or 'unknown query error'}{',' if reference else ''}{reference}"


def _typed(text: str, kind: str, name: str) -> Value:
    if not text:
        return None
    if kind in TEXTS:
        return text
    try:
        match kind:
            case "double":
                return float(text)
            case "long" | "unsignedLong":
                return int(text)
            case "boolean":
                return text.lower() != "false"
    except ValueError as error:
        raise BadCsv(f"{name} holds {text!r}, which is no {kind}") from error
    raise BadCsv(f"{name} has unknown data type {kind}")
