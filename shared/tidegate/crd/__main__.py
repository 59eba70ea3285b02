"""Writes the CRDs into a folder, one file per kind: `python -m tidegate.crd deploy/crds`."""

import sys
from pathlib import Path

from tidegate.crd.generate import crd_files


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tidegate.crd FOLDER\n")
        return 2
    for name, text in crd_files().items():
        (Path(arguments[0]) / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
