"""FastMCP's client."""

import asyncio
from contextlib import asynccontextmanager

import fastmcp

from steps import run


class Client:
    def __init__(self, client):
        self.client = client

    def revision(self):
        return getattr(self.client.initialize_result, "protocol_version", "") or ""

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, tool, arguments):
        return (await self.client.call_tool(tool, arguments)).content[0].text

    async def cancel(self, tool, arguments):
        call = asyncio.create_task(self.call(tool, arguments))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@asynccontextmanager
async def connect(url, key):
    async with fastmcp.Client(url, auth=key) as client:
        yield Client(client)


run(connect)
