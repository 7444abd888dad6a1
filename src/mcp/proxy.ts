/** A session over stdin and stdout that a server elsewhere answers, under the role of a token: for clients that only start programs. */
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { ErrorCode, isJSONRPCRequest, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { messageOf } from '../base/errors.ts';
import type { Secret } from '../base/secrets.ts';

export interface ProxyRequest {
  /** Of the server, without `/mcp`. */
  readonly url: string;
  readonly token: Secret;
  readonly signal: AbortSignal;
}

/** Until the client goes or the signal is aborted. A message the server does not take is answered with why. */
export async function proxyStdio({ url, token, signal }: ProxyRequest): Promise<void> {
  const headers = { authorization: `Bearer ${token.reveal()}` };
  const there = new StreamableHTTPClientTransport(new URL('/mcp', url), { requestInit: { headers } });
  const here = new StdioServerTransport();
  const going = new Set<Promise<void>>();
  const ended = new Promise<void>((resolve) => {
    here.onclose = resolve;
    process.stdin.once('end', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  there.onmessage = (message) => void here.send(message);
  here.onmessage = (message) => {
    const sent = forward(message, there, here);
    going.add(sent);
    void sent.finally(() => going.delete(sent));
  };
  await there.start();
  await here.start();
  await ended;
  await Promise.allSettled(going);
  await there.close();
  await here.close();
}

async function forward(
  message: JSONRPCMessage,
  there: StreamableHTTPClientTransport,
  here: StdioServerTransport,
): Promise<void> {
  try {
    await there.send(message);
    const version = isInitialize(message) ? message.params.protocolVersion : undefined;
    if (version !== undefined) there.setProtocolVersion(version);
  } catch (error) {
    if (!isJSONRPCRequest(message)) return;
    const told = { code: ErrorCode.InternalError, message: `the server does not take it: ${messageOf(error)}` };
    await here.send({ jsonrpc: '2.0', id: message.id, error: told });
  }
}

function isInitialize(message: JSONRPCMessage): message is JSONRPCMessage & { params: { protocolVersion: string } } {
  return (
    isJSONRPCRequest(message) && message.method === 'initialize' && typeof message.params?.protocolVersion === 'string'
  );
}
