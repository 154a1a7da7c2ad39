"""The official Python SDK, 2.x. MODE is auto (its default) or legacy."""

import asyncio
import os
from contextlib import asynccontextmanager

import mcp
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from steps import run


class Client:
    def __init__(self, client):
        self.client = client

    def revision(self):
        return self.client.protocol_version

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, tool, arguments):
        result = await self.client.call_tool(tool, arguments)
        if result.is_error:
            raise RuntimeError(result.content[0].text)
        return result.content[0].text

    async def cancel(self, tool, arguments):
        call = asyncio.create_task(self.call(tool, arguments))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@asynccontextmanager
async def connect(url, key):
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {key}"}) as http:
        transport = streamable_http_client(url, http_client=http)
        async with mcp.Client(transport, mode=os.environ.get("MODE", "auto")) as client:
            yield Client(client)


run(connect)
