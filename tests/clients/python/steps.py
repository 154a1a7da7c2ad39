"""What every Python client does, whichever library it speaks through: `run` gives it the library's own ways.

PROGRAM URL KEY STEP TOKEN   prints one JSON object. STEP is one of
    calls    connect, list the tools, 30 calls in a row and 10 in parallel
    long     a call of SECONDS (an environment variable)
    cancel   a call that is taken back after a second
    wrong    connect with KEY, which is wrong: what a user reads
"""

import asyncio
import json
import os
import sys
import traceback


def leaves(error):
    """The errors that are not groups of others."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def read(error):
    """What a user reads of an error: the last lines of the traceback."""
    return "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in leaves(error))


async def calls(client):
    tools = sorted(await client.tools())
    for number in range(30):
        said = await client.call("echo", {"text": f"n{number}"})
        assert said == f"n{number}", said
    texts = [f"p{number}" for number in range(10)]
    said = await asyncio.gather(*(client.call("echo", {"text": text}) for text in texts))
    assert said == texts, said
    return {"tools": tools, "revision": client.revision()}


async def long(client, token):
    seconds = int(os.environ["SECONDS"])
    return {"said": await client.call("wait", {"seconds": seconds, "token": token})}


async def main(connect):
    url, key, step, token = sys.argv[1:5]
    done = {}
    try:
        async with connect(url, key) as client:
            if step == "calls":
                done = await calls(client)
            elif step == "long":
                done = await long(client, token)
            elif step == "cancel":
                await client.cancel("wait", {"seconds": 60, "token": token})
                done = {"afterwards": await client.call("echo", {"text": "still here"})}
            else:
                await client.tools()
                done = {"connected": True}
    except BaseException as error:
        traceback.print_exc()
        done = {"error": read(error)}
    print(json.dumps(done), flush=True)


def run(connect):
    asyncio.run(main(connect))
