"""Walks through a server with the official SDK, and prints what it saw as JSON.

tour.py URL KEY MODE   MODE: auto or legacy, as the SDK's Client takes it
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client


async def refusal(call):
    """The code of an error, of a call that must not succeed."""
    try:
        await call
    except MCPError as error:
        return error.error.code
    return None


async def tour(client):
    tools = await client.list_tools()
    greeting = await client.call_tool("greet", {"name": "Ada"})
    unfit = await client.call_tool("greet", {"name": 5})
    number = await client.call_tool("double", {"number": 21})
    prompt = await client.get_prompt("review", {"language": "Rust"})
    resource = await client.read_resource("docs://welcome")
    template = await client.read_resource("docs://team/red")
    return {
        "revision": client.protocol_version,
        "server": client.server_info.name,
        "tools": [tool.name for tool in tools.tools],
        "greeting": [block.text for block in greeting.content],
        "unfit": unfit.is_error,
        "double": number.structured_content,
        "prompts": [prompt.name for prompt in (await client.list_prompts()).prompts],
        "prompt": prompt.messages[0].content.text,
        "resources": [resource.uri for resource in (await client.list_resources()).resources],
        "resource": resource.contents[0].text,
        "template": template.contents[0].text,
        "no such tool": await refusal(client.call_tool("nobody", {})),
        "no such resource": await refusal(client.read_resource("docs://nothing")) is not None,
    }


async def main(url, key, mode):
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            print(json.dumps(await tour(client)))


asyncio.run(main(*sys.argv[1:]))
