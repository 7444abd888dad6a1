/** Streamable HTTP: each request is answered by itself, so that any process of a server can answer any of them. */
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { McpParts } from './parts.ts';
import { createMcpServer } from './server.ts';

const mostBodyBytes = 1 << 20;

/** The caller is known already; what they may do is in `parts`. */
export async function answerMcp(request: Request, parts: McpParts): Promise<Response> {
  const server = createMcpServer(parts);
  const transport = new WebStandardStreamableHTTPServerTransport({
    enableJsonResponse: true,
    maxRequestBodySize: mostBodyBytes,
  });
  await server.connect(transport);
  try {
    return await transport.handleRequest(request);
  } finally {
    await server.close();
  }
}
