// The official TypeScript SDK, 1.x.

import {Client} from '@modelcontextprotocol/sdk/client/index.js';
import {StreamableHTTPClientTransport} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {patience, run, text} from './steps.mjs';

await run(async (url, key) => {
  const client = new Client({name: 'matrix', version: '1.0.0'});
  const headers = {Authorization: `Bearer ${key}`};
  const transport = new StreamableHTTPClientTransport(new URL(url), {requestInit: {headers}});
  await client.connect(transport);
  return {
    revision: () => transport.protocolVersion,
    tools: async () => (await client.listTools()).tools.map(tool => tool.name),
    call: async (name, args, signal) =>
      text(await client.callTool({name, arguments: args}, undefined, {...patience, signal})),
  };
});
