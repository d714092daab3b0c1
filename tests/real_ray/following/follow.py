"""A subscriber written from docs/events.md alone: prints each state of the actor that is called followed, until it is dead."""

import asyncio
import json
import sys

import websockets


async def main(url, token):
    shown = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(f"{url}?kinds=actor", additional_headers=shown) as stream:
        async for text in stream:
            message = json.loads(text)
            if message["type"] == "synced":
                print("synced", flush=True)
            if message["type"] != "event" or message["row"]["body"].get("name") != "followed":
                continue
            state = message["row"]["state"]
            if state != message["was"]:
                print("|", message["was"] or "unborn", "->", state, flush=True)
            if state == "DEAD":
                return


asyncio.run(main(*sys.argv[1:]))
