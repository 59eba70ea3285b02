"""A step plugin: a canary waits until a URL says that it may go on. Needs Python and nats-py, and nothing of Tidegate.

    pip install nats-py && NATS_URL=nats://plugin:PASSWORD@127.0.0.1:4222 python plugin.py

200 ends the step, any 4xx fails it and with it the rollout; whatever else comes, or nothing, means: ask me again. `undo` is called when
the rollout is aborted after that. Nothing is kept here, so any number of these may run, and each may be killed at any time.
"""

import asyncio
import json
import os
import urllib.error
import urllib.request

import nats

NAME = "example/http-check"


def status_of(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=3) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:  # nobody there, or too slow
        return 0


def answer_to(request: dict) -> dict:
    config = request["config"]
    if request["operation"] != "Run":  # Abort, Terminate: once, and no "Running"
        undone = status_of(config["undo"], "POST") if config.get("undo") else 200
        return {"phase": "Successful" if undone == 200 else "Failed", "message": f"undo: HTTP {undone}"}
    status, tries = status_of(config["url"]), (request["status"] or {"tries": 0})["tries"] + 1
    phase = "Successful" if status == 200 else "Failed" if 400 <= status < 500 else "Running"
    return {"phase": phase, "message": f"HTTP {status}", "requeue_after": config.get("every", 11), "status": {"tries": tries}}


async def main() -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))

    async def on_request(msg) -> None:
        answer = await asyncio.to_thread(answer_to, json.loads(msg.data))
        await msg.respond(json.dumps(answer).encode())

    await client.subscribe(f"tidegate.step.requested.{NAME}.>", queue=NAME, cb=on_request)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
