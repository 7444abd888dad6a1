/** Path, query and body of a request as one object, by the schemas of its route. */
import { z } from 'zod';
import { systemCode } from '../../base/errors.ts';
import { RequestError } from '../answers/problem.ts';
import type { Route } from '../route.ts';

interface Given {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly mostBodyBytes: number;
}

/** `ZodError`; 400, 413 and 415. Memory: the largest body allowed. */
export async function readInput(route: Route, given: Given): Promise<Record<string, unknown>> {
  const params = route.params.parse(given.params);
  const query = route.query.parse(fromText(route.query, given.query));
  const body = route.body?.parse(await readBody(given));
  return { ...query, ...body, ...params };
}

async function readBody({ request, mostBodyBytes }: Given): Promise<unknown> {
  const text = await readText(request, mostBodyBytes);
  if (text === '') return {};
  const type = request.headers.get('content-type')?.split(';')[0].trim().toLowerCase();
  if (type !== 'application/json') {
    throw new RequestError(
      415,
      'the body of the request is not said to be JSON',
      'Send Content-Type: application/json.',
    );
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RequestError(400, 'the body of the request is not JSON', 'Send one JSON object.');
  }
}

async function readText(request: Request, most: number): Promise<string> {
  const tooLarge = (): RequestError =>
    new RequestError(413, `the body of the request is larger than ${most} bytes`, 'Send less at once.', {
      connection: 'close',
    });
  if (Number(request.headers.get('content-length') ?? 0) > most) throw tooLarge();
  if (!request.body) return '';
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of untilCutOff(request.body)) {
    bytes += part.byteLength;
    if (bytes > most) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Who hangs up in the middle is no fault of ours, and reads no answer. */
async function* untilCutOff(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    if (systemCode(cause) !== 'ECONNRESET') throw cause;
    throw new RequestError(400, 'the request was cut off before its end', 'Send it again.');
  }
}

/** Text becomes what the schema asks for, where it can; the schema judges the rest. */
function fromText(schema: z.ZodObject, query: URLSearchParams): Record<string, unknown> {
  const names = [...new Set(query.keys())];
  return Object.fromEntries(names.map((name) => [name, readValue(schema.shape[name], query.getAll(name))]));
}

function readValue(schema: unknown, texts: readonly string[]): unknown {
  const kind = innermost(schema);
  if (kind instanceof z.ZodArray) return texts.map((text) => readValue(kind.element, [text]));
  // A name that stands twice where one value is asked for is no value.
  if (texts.length > 1) return texts;
  const [text] = texts;
  if (kind instanceof z.ZodBoolean) return text === 'true' ? true : text === 'false' ? false : text;
  if (kind instanceof z.ZodNumber) return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  return text;
}

function innermost(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable) {
    return innermost(schema.unwrap());
  }
  return schema;
}
