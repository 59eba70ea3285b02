"""A traffic router plugin: it keeps the weights of each Rollout in a JSON file, where another one would call its load balancer.

    pip install nats-py && NATS_URL=nats://plugin:PASSWORD@127.0.0.1:4222 python plugin.py

It gets the whole traffic each time and writes it if it differs, so the same request may come again and again. The fence orders requests:
a lower one than was carried out is stale and changes nothing.
"""

import asyncio
import json
import os
from pathlib import Path

import nats

NAME = "example/file"


def answer_to(request: dict) -> dict:
    file = Path(request["config"].get("folder", ".")) / f"{request['namespace']}.{request['name']}.json"
    try:
        there = json.loads(file.read_text())
    except FileNotFoundError:
        there = {"uid": "", "fence": -1, "split": None}
    if there["uid"] == request["uid"] and request["fence"] < there["fence"]:
        return {"state": "failed", "message": f"stale: traffic was last changed for decision {there['fence']}"}
    if request["operation"] == "Apply" and there["split"] != request["split"]:
        there = {field: request[field] for field in ("uid", "fence", "split")}
        half = file.with_suffix(".new")
        half.write_text(json.dumps(there))
        half.replace(file)  # whole or not at all, whenever this process is killed
    there_now = there["split"] == request["split"]
    weight = there["split"]["canary"]["weight"] if there["split"] else None
    return {"state": "applied" if there_now else "pending", "weight": weight, "verified": there_now}


async def main() -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))

    async def on_request(msg) -> None:
        try:
            answer = answer_to(json.loads(msg.data))
        except OSError as error:
            answer = {"state": "failed", "message": str(error)}
        await msg.respond(json.dumps(answer).encode())

    await client.subscribe(f"tidegate.router.requested.{NAME}.>", cb=on_request)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
