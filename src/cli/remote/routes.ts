/** Which route of a server performs an operation, and how its input is sent: what the server's own document says. */
import { HoldfastError } from '../../base/errors.ts';
import type { RemoteServer } from './server.ts';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
}

interface OperationObject {
  readonly 'x-operation'?: string;
  readonly 'x-starts-run'?: boolean;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly content: { readonly 'application/json'?: { readonly schema: { readonly properties?: object } } };
  };
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
}

export interface RemoteRoute {
  readonly method: string;
  readonly path: string;
  readonly startsRun: boolean;
  readonly inPath: readonly string[];
  readonly inQuery: readonly string[];
  readonly inBody: readonly string[];
}

/** `usage.invalid` for what this server does not do for others. */
export async function routeFor(operation: string, server: RemoteServer): Promise<RemoteRoute> {
  const { paths } = await server.json<Document>('/api/openapi.json', { open: true });
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, one] of Object.entries(methods)) {
      if (one['x-operation'] !== operation) continue;
      const named = (place: Parameter['in']): string[] =>
        (one.parameters ?? []).filter((parameter) => parameter.in === place).map((parameter) => parameter.name);
      const body = one.requestBody?.content['application/json']?.schema.properties ?? {};
      return {
        ...{ method: method.toUpperCase(), path, startsRun: one['x-starts-run'] === true },
        ...{ inPath: named('path'), inQuery: named('query'), inBody: Object.keys(body) },
      };
    }
  }
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${operation}» is not done by a server for others`,
    remedy: 'Run it on the machine of the server, without --server.',
  });
}

export interface RemoteRequest {
  readonly path: string;
  readonly method: string;
  readonly body?: object;
}

/** `usage.invalid` for an option that means something on the server's own machine only. */
export function requestFor(
  route: RemoteRoute,
  input: Readonly<Record<string, unknown>>,
  more: object = {},
): RemoteRequest {
  const given = Object.entries({ ...input, ...more }).filter(([, value]) => value !== undefined);
  let path = route.path;
  const query = new URLSearchParams();
  const body: Record<string, unknown> = {};
  for (const [name, value] of given) {
    if (route.inPath.includes(name)) path = path.replace(`{${name}}`, encodeURIComponent(String(value)));
    else if (route.inQuery.includes(name)) for (const one of [value].flat()) query.append(name, String(one));
    else if (route.inBody.includes(name)) body[name] = value;
    else if (!saysNothing(value)) throw notThere(name);
  }
  const { method, inBody } = route;
  return { path: query.size > 0 ? `${path}?${query}` : path, method, ...(inBody.length > 0 ? { body } : {}) };
}

/** An option that was not given. */
function saysNothing(value: unknown): boolean {
  return value === false || value === '' || (Array.isArray(value) && value.length === 0);
}

function notThere(name: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `the option --${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} means something on the server’s own machine only`,
    remedy: 'Leave it out, or run the command there, without --server.',
  });
}
