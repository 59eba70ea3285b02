"""Kubernetes' rules for names, as lists of complaints in its own words (empty: the name is right).

The texts are those of Kubernetes 1.36, so that `tidegate lint` and the API server say the same.
"""

import re

_LABEL_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_LABEL_KEY})?"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_WORD = "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"


def label_key(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        rule = f"a valid label key must consist of {_hint(_WORD, _LABEL_KEY, 'MyName', 'my.name', '123-abc')}"
        return [f"{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    complaints = []
    if slash:
        complaints += [
            f"prefix part {complaint}" for complaint in (dns_subdomain(prefix, unit="bytes") if prefix else ["must be non-empty"])
        ]
    if not name:
        complaints.append("name part must be non-empty")
    complaints += [f"name part {complaint}" for complaint in _too_long(name, 63, "bytes")]
    if not re.fullmatch(_LABEL_KEY, name):
        complaints.append(f"name part must consist of {_hint(_WORD, _LABEL_KEY, 'MyName', 'my.name', '123-abc')}")
    return complaints


def label_value(value: str) -> list[str]:
    complaints = _too_long(value, 63, "bytes")
    if not re.fullmatch(_LABEL_VALUE, value):
        start = "a valid label must be an empty string or consist of"
        complaints.append(f"{start} {_hint(_WORD, _LABEL_VALUE, 'MyValue', 'my_value', '12345')}")
    return complaints


def dns_label(name: str) -> list[str]:
    complaints = _too_long(name, 63, "characters")
    if re.fullmatch(_DNS_LABEL, name):
        return complaints
    if re.fullmatch(_DNS_SUBDOMAIN, name):
        return [*complaints, "must not contain dots"]
    rule = (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        "and must start and end with an alphanumeric character"
    )
    return [*complaints, _hint(rule, _DNS_LABEL, "my-name", "123-abc")]


def dns_subdomain(name: str, *, unit: str = "characters") -> list[str]:
    complaints = _too_long(name, 253, unit)
    if not re.fullmatch(_DNS_SUBDOMAIN, name):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        complaints.append(_hint(rule, _DNS_SUBDOMAIN, "example.com"))
    return complaints


def port_name(name: str) -> list[str]:
    complaints = _too_long(name, 15, "characters")
    if not re.fullmatch("[-a-z0-9]+", name):
        complaints.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        complaints.append("must contain at least one letter (a-z)")
    if "--" in name:
        complaints.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        complaints.append("must not begin or end with a hyphen")
    return complaints


def port_number(number: int) -> list[str]:
    return [] if 1 <= number <= 65535 else ["must be between 1 and 65535, inclusive"]


def variable_name(name: str) -> list[str]:
    if all(" " <= letter <= "~" and letter != "=" for letter in name):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def _too_long(name: str, most: int, unit: str) -> list[str]:
    """Kubernetes counts bytes everywhere; some of its texts still say characters."""
    return [f"must be no more than {most} {unit}"] if len(name.encode(errors="replace")) > most else []


def _hint(rule: str, pattern: str, *examples: str) -> str:
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {listed}regex used for validation is '{pattern}')"
