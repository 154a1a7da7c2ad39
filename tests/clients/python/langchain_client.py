"""LangChain's adapters, as an agent uses them: each call of a tool has a session of its own."""

import asyncio
from contextlib import asynccontextmanager

from langchain_mcp_adapters.client import MultiServerMCPClient

from steps import run


class Client:
    def __init__(self, client):
        self.client = client
        self.known = {}

    def revision(self):
        return ""

    async def tools(self):
        self.known = {tool.name: tool for tool in await self.client.get_tools()}
        return list(self.known)

    async def call(self, tool, arguments):
        if not self.known:
            await self.tools()
        said = await self.known[tool].ainvoke(arguments)
        return said if isinstance(said, str) else said[0]["text"]

    async def cancel(self, tool, arguments):
        await self.tools()
        call = asyncio.create_task(self.call(tool, arguments))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@asynccontextmanager
async def connect(url, key):
    headers = {"Authorization": f"Bearer {key}"}
    yield Client(MultiServerMCPClient({"it": {"transport": "streamable_http", "url": url, "headers": headers}}))


run(connect)
