"""Where a text is no YAML and why, in one line: the parser says it in four, about `<unicode string>`. Pure."""

import re

import yaml
from yaml.reader import ReaderError


def place_in(text: str, error: yaml.YAMLError) -> str:
    """`:4:2`, line and column from 1, as compilers and editors write it; "" where the parser knows no place."""
    match error:
        case yaml.MarkedYAMLError(problem_mark=yaml.Mark(line=line, column=column)):
            return f":{line + 1}:{column + 1}"
        case ReaderError(position=int(position)):
            before = text[:position]
            return f":{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"
        case _:
            return ""


def reason_of(error: yaml.YAMLError) -> str:
    match error:
        case yaml.MarkedYAMLError(problem=str(problem)):
            return f"{problem}{_begun(error)}"
        case ReaderError(character=int(character)):
            return f"character U+{character:04X} is not allowed"
        case _:
            return " ".join(str(error).split())


def _begun(error: yaml.MarkedYAMLError) -> str:
    """Where the part began that does not end as it should, if that is another line."""
    start, end = error.context_mark, error.problem_mark
    if start is None or end is None or start.line == end.line or not error.context:
        return ""
    what = re.sub(r"^while (parsing|scanning) (a |an )?", "", error.context)
    return f" ({what} from line {start.line + 1} on)"
