"""Graphite's own settings but for where its data lies; no cache, so that what was written is seen at once."""

import os

from graphite.settings import *  # noqa: F403 - Django's way

WHISPER_DIR = os.environ["WHISPER_DIR"]
STANDARD_DIRS = [WHISPER_DIR]
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = "-"
CARBONLINK_HOSTS: list = []
MEMCACHE_HOSTS: list = []
DEFAULT_CACHE_DURATION = 0
FIND_CACHE_DURATION = 0
