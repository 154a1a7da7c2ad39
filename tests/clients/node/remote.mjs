// mcp-remote, as a desktop program runs it: a program that it speaks to over pipes.

import {createRequire} from 'node:module';
import {Client} from '@modelcontextprotocol/sdk/client/index.js';
import {StdioClientTransport} from '@modelcontextprotocol/sdk/client/stdio.js';
import {patience, run, text} from './steps.mjs';

const proxy = process.env.MCP_REMOTE ?? createRequire(import.meta.url).resolve('mcp-remote/dist/proxy.js');

await run(async (url, key) => {
  const client = new Client({name: 'matrix', version: '1.0.0'});
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [proxy, url, '--allow-http', '--transport', 'http-only', '--auth-timeout', '5',
           '--header', `Authorization: Bearer ${key}`],
    env: {PATH: process.env.PATH, HOME: process.env.HOME, BROWSER: 'true'},
    stderr: 'pipe',
  });
  // What a user finds in the log of the desktop program.
  let said = '';
  transport.stderr.on('data', data => { said += data; process.stderr.write(data); });
  const closed = new Promise((_, reject) => {
    client.onclose = () => reject(Object.assign(new Error(said.trim()), {name: 'mcp-remote'}));
  });
  closed.catch(() => {});
  await Promise.race([client.connect(transport), closed]);
  return {
    revision: () => '',
    tools: async () => (await client.listTools()).tools.map(tool => tool.name),
    call: async (name, args, signal) =>
      text(await Promise.race([client.callTool({name, arguments: args}, undefined, {...patience, signal}), closed])),
  };
});
