"""The official Python SDK, 1.x."""

import asyncio
from contextlib import asynccontextmanager

from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from steps import run


class Client:
    def __init__(self, session, initialized):
        self.session = session
        self.initialized = initialized

    def revision(self):
        return self.initialized.protocolVersion

    async def tools(self):
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def call(self, tool, arguments):
        result = await self.session.call_tool(tool, arguments)
        if result.isError:
            raise RuntimeError(result.content[0].text)
        return result.content[0].text

    async def cancel(self, tool, arguments):
        # This SDK tells a server of nothing that is cancelled: its user has to.
        number = self.session._request_id
        call = asyncio.create_task(self.call(tool, arguments))
        await asyncio.sleep(1)
        params = types.CancelledNotificationParams(requestId=number, reason="no longer needed")
        note = types.CancelledNotification(params=params)
        await self.session.send_notification(types.ClientNotification(note))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@asynccontextmanager
async def connect(url, key):
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {key}"}) as http:
        async with streamable_http_client(url, http_client=http) as (reader, writer, _):
            async with ClientSession(reader, writer) as session:
                yield Client(session, await session.initialize())


run(connect)
