"""Where jars come from."""

from pathlib import Path

import pytest

from tidegate.testing.jars import CENTRAL, repository

MIRROR = "<mirror><id>near</id><url> https://near.example/maven/ </url><mirrorOf>{}</mirrorOf></mirror>"
SETTINGS = '<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0"><mirrors>{}</mirrors></settings>'


@pytest.mark.parametrize(
    ("mirrored", "source"),
    [
        ("central", "https://near.example/maven"),
        ("*", "https://near.example/maven"),
        ("other, external:*", "https://near.example/maven"),
        ("other", CENTRAL),
        ("*, !central", CENTRAL),
    ],
)
def test_jars_come_from_the_mirror_that_mavens_settings_name_for_central(tmp_path: Path, mirrored: str, source: str) -> None:
    settings = tmp_path / "settings.xml"
    settings.write_text(SETTINGS.format(MIRROR.format(mirrored)))
    assert repository(None, settings) == source
    assert repository("https://named.example/", settings) == "https://named.example"


def test_without_settings_they_come_from_maven_central(tmp_path: Path) -> None:
    assert repository(None, tmp_path / "absent.xml") == CENTRAL
