/** The served OpenAPI document, and requests made from it. */
import type { Serving } from './serving.ts';

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly minLength?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: JsonSchema;
}

export interface DocumentedRoute {
  readonly method: string;
  readonly path: string;
  readonly id: string;
  readonly tag: string;
  readonly permission: string;
  readonly operation?: string;
  readonly parameters: readonly Parameter[];
  readonly body?: JsonSchema;
  readonly streams: boolean;
}

interface OperationObject {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly 'x-permission': string;
  readonly 'x-operation'?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: JsonSchema } } };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

export async function documentedRoutes(serving: Serving): Promise<DocumentedRoute[]> {
  const document = await serving.json<{ paths: Record<string, Record<string, OperationObject>> }>('/api/openapi.json');
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({
      method: method.toUpperCase(),
      path,
      id: one.operationId,
      tag: one.tags[0],
      permission: one['x-permission'],
      operation: one['x-operation'],
      parameters: one.parameters ?? [],
      body: one.requestBody?.content['application/json'].schema,
      streams: 'text/event-stream' in (one.responses['200']?.content ?? {}),
    })),
  );
}

export interface Sample {
  readonly path: string;
  readonly init: RequestInit;
}

/** What must be given, and nothing else; `known` are values by name. */
export function sampleOf(route: DocumentedRoute, known: Readonly<Record<string, unknown>>): Sample {
  const value = (name: string, schema: JsonSchema): unknown => (name in known ? known[name] : valueFor(schema));
  const query = new URLSearchParams();
  let { path } = route;
  for (const one of route.parameters) {
    if (one.in === 'path')
      path = path.replace(`{${one.name}}`, encodeURIComponent(String(value(one.name, one.schema))));
    if (one.in === 'query' && (one.required || one.name in known)) {
      for (const text of [value(one.name, one.schema)].flat()) query.append(one.name, String(text));
    }
  }
  const { properties = {}, required = [] } = route.body ?? {};
  const given = Object.entries(properties).filter(([name]) => required.includes(name) || name in known);
  const body = Object.fromEntries(given.map(([name, schema]) => [name, value(name, schema)]));
  return {
    path: query.size > 0 ? `${path}?${query}` : path,
    init: { method: route.method, ...(route.body ? { body: JSON.stringify(body) } : {}) },
  };
}

function valueFor(schema: JsonSchema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return valueFor(schema.anyOf[0]);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [name, valueFor(schema.properties?.[name] ?? {})]),
      );
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () => valueFor(schema.items ?? {}));
    case 'number':
    case 'integer':
      return Math.max(1, schema.minimum ?? 1);
    case 'boolean':
      return false;
    default:
      return 'x'.repeat(Math.max(1, schema.minLength ?? 1));
  }
}
