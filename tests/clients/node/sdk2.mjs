// The official TypeScript SDK, 2.x. MODE is legacy (its default) or auto.

import {Client, StreamableHTTPClientTransport} from '@modelcontextprotocol/client';
import {patience, run, text} from './steps.mjs';

await run(async (url, key) => {
  const mode = process.env.MODE ?? 'legacy';
  const client = new Client({name: 'matrix', version: '1.0.0'}, {versionNegotiation: {mode}});
  const headers = {Authorization: `Bearer ${key}`};
  const transport = new StreamableHTTPClientTransport(new URL(url), {requestInit: {headers}});
  await client.connect(transport);
  return {
    revision: () => client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
    tools: async () => (await client.listTools()).tools.map(tool => tool.name),
    call: async (name, args, signal) =>
      text(await client.callTool({name, arguments: args}, {...patience, signal})),
  };
});
