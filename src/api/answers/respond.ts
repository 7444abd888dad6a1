/** What a route gives, as an HTTP response. */
import type { Kept } from '../idempotency.ts';
import type { ListRun } from '../operation-route.ts';
import type { Call, Route } from '../route.ts';
import { problemDocument } from './problem.ts';

export async function respond(route: Route, input: unknown, call: Call): Promise<Response> {
  const given = await route.run(input, call);
  switch (route.answer.form) {
    case 'json':
      if (given instanceof Response) return given;
      return jsonResponse({ status: route.answer.status ?? 200, body: JSON.stringify(given) });
    case 'nothing':
      return given instanceof Response ? given : jsonResponse({ status: 204 });
    case 'list':
      return await listResponse(given as ListRun, call);
    case 'stream':
    case 'redirect':
      return given as Response;
  }
}

/** From an answer that was kept, too. */
export function jsonResponse({ status, body }: Kept): Response {
  const headers = { 'content-type': 'application/json; charset=utf-8' };
  return body === undefined ? new Response(null, { status }) : new Response(body, { status, headers });
}

async function listResponse(list: ListRun, call: Call): Promise<Response> {
  const wantsLines = call.request.headers.get('accept')?.includes('application/x-ndjson') ?? false;
  if (wantsLines) return await linesResponse(list, call);
  return jsonResponse({ status: 200, body: JSON.stringify(await pageOf(list)) });
}

/** Ends a list that goes on beyond the page. */
class PageFull extends Error {}

/** Reads from the beginning up to the end of the page. Memory: one page. */
async function pageOf({ skip, limit, run }: ListRun): Promise<object> {
  const items: unknown[] = [];
  let seen = 0;
  try {
    const rest = await run((item) => {
      if (items.length === limit) throw new PageFull();
      if (seen++ >= skip) items.push(item);
    });
    return { items, next: null, ...(rest as object) };
  } catch (error) {
    if (!(error instanceof PageFull)) throw error;
    return { items, next: String(skip + items.length) };
  }
}

const lineBytesHeld = 64 * 1024;

/**
 * Every item as a line `{"type":"item","item":…}`, then `{"type":"result",…}`, or `{"type":"error",…}` if it broke on the
 * way: a stream without either was cut off. An error before anything was sent is thrown. Memory: 64 KiB.
 */
async function linesResponse({ run }: ListRun, { facts, parts }: Call): Promise<Response> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const begun = Promise.withResolvers<void>();
  const encoder = new TextEncoder();
  let held = '';
  let isBegun = false;
  const flush = async (): Promise<void> => {
    const text = held;
    held = '';
    isBegun = true;
    begun.resolve();
    await writer.write(encoder.encode(text));
  };
  const line = async (document: object): Promise<void> => {
    held += `${JSON.stringify(document)}\n`;
    if (held.length >= lineBytesHeld) await flush();
  };
  const work = async (): Promise<void> => {
    try {
      const rest = await run((item) => line({ type: 'item', item }));
      await line({ type: 'result', ...(rest as object) });
    } catch (error) {
      if (!isBegun) return begun.reject(error);
      const { path, origin } = facts;
      const { code, detail, remedy } = problemDocument(error, { path, origin, ...parts });
      await line({ type: 'error', code, message: detail, remedy });
    }
    await flush();
    await writer.close();
  };
  // Who hangs up ends the work: writing fails then, and nobody is left to tell.
  work().catch(() => begun.resolve());
  await begun.promise;
  return new Response(readable, { headers: { 'content-type': 'application/x-ndjson' } });
}
