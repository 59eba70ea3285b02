"""Writes Whisper files and serves Graphite's web application on them: `serve.py '{"app.errors": [1, null, 3]}'`.

Values are a minute apart, the last one of this minute. Prints the port.
"""

import json
import os
import sys
import time
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import whisper

MINUTE = 60


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """The test's output is for the test."""


def write(name: str, values: list) -> None:
    path = Path(os.environ["WHISPER_DIR"], *name.split(".")).with_suffix(".wsp")
    path.parent.mkdir(parents=True, exist_ok=True)
    whisper.create(str(path), [(MINUTE, 60)])
    now = int(time.time())
    points = [(now - MINUTE * age, value) for age, value in enumerate(reversed(values)) if value is not None]
    whisper.update_many(str(path), points)


for series, measured in json.loads(sys.argv[1]).items():
    write(series, measured)

from graphite.wsgi import application  # noqa: E402 - it looks for its data when it is imported

server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
print(server.server_port, flush=True)  # noqa: T201 - whoever started it waits for this
server.serve_forever()
