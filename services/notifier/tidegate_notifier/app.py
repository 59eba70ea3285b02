"""The notifier as a process: `tidegate-notifier`, or `python -m tidegate_notifier.app`."""

from typing import NoReturn

from tidegate.service import run
from tidegate_notifier.composition import NAME, compose


def main() -> NoReturn:
    run(NAME, compose)


if __name__ == "__main__":
    main()
