/** The OpenAPI 3.1 document, made from the routes. JSON Schema of a request or answer is what zod gives (draft 2020-12, as 3.1 has it). */
import { z } from 'zod';
import { errorCatalogue } from '../base/errors.ts';
import { programVersion } from '../base/version.ts';
import { isRepeatable } from './answer.ts';
import { type Answer, type Route, tags } from './route.ts';

type Json = Record<string, unknown>;

const problemRef = { $ref: '#/components/responses/Problem' };

export function openApiDocument(routes: readonly Route[], url: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operationObject(route) };
  const used = new Set(routes.map((route) => route.tag));
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: programVersion,
      summary: 'Backups that are proven by restoring them.',
      description: aboutDescription,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url }],
    security: [{ token: [] }, { session: [] }],
    tags: Object.entries(tags).flatMap(([name, description]) =>
      used.has(name as keyof typeof tags) ? [{ name, description }] : [],
    ),
    paths,
    components: { securitySchemes, schemas: { Problem: problemSchema() }, responses: { Problem: problemAnswer } },
  };
}

const aboutDescription =
  'Times are RFC 3339 in UTC or milliseconds since the epoch (names that end in Ms). Sizes are bytes. Lists come in pages: what stands in `next` goes into `cursor`. Work that takes long is answered with the run that does it (202). Errors are RFC 9457 problem documents with a code that never changes and a remedy. `x-permission` is the least role a route needs.';

const securitySchemes = {
  token: { type: 'http', scheme: 'bearer', description: 'An API token: holdfast token create.' },
  session: { type: 'apiKey', in: 'cookie', name: 'holdfast_session', description: 'What signing in sets.' },
};

const problemAnswer = {
  description: 'It was not done, and why.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

function problemSchema(): Json {
  const text = { type: 'string' };
  return {
    type: 'object',
    description: 'RFC 9457.',
    required: ['type', 'title', 'status', 'detail', 'code', 'remedy', 'instance'],
    properties: {
      type: { type: 'string', format: 'uri', description: 'Where the code is explained.' },
      title: text,
      status: { type: 'integer' },
      detail: { type: 'string', description: 'What failed, on which thing.' },
      code: { type: 'string', enum: Object.keys(errorCatalogue) },
      remedy: { type: 'string', description: 'The next thing to do.' },
      instance: text,
      context: { type: 'object', description: 'Facts for machines.' },
      problems: {
        type: 'array',
        items: {
          type: 'object',
          required: ['path', 'message'],
          properties: { path: text, message: text, remedy: text },
        },
      },
    },
  };
}

function operationObject(route: Route): Json {
  const open = route.access === 'anyone';
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(open ? { security: [] } : {}),
    'x-permission': route.access,
    ...(route.operation === undefined ? {} : { 'x-operation': route.operation }),
    ...(route.startsRun ? { 'x-starts-run': true } : {}),
    ...parametersOf(route),
    ...bodyOf(route),
    responses: responsesOf(route),
  };
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same request under the same key is performed once; its answer is kept for a day.',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
};

function parametersOf(route: Route): Json {
  const parameters = [
    ...inPlace(route.params, 'path'),
    ...inPlace(route.query, 'query'),
    ...(isRepeatable(route) ? [idempotencyKey] : []),
  ];
  return parameters.length === 0 ? {} : { parameters };
}

function inPlace(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

function bodyOf({ body }: Route): Json {
  if (!body) return {};
  const schema = jsonSchema(body, 'input');
  const isRequired = ((schema.required as string[] | undefined) ?? []).length > 0;
  return { requestBody: { required: isRequired, content: { 'application/json': { schema } } } };
}

function responsesOf(route: Route): Json {
  const asked = route.access !== 'anyone';
  const refusals = asked ? { 401: problemRef, 403: problemRef } : {};
  return { ...successOf(route.answer), '4XX': problemRef, ...refusals, default: problemRef };
}

function successOf(answer: Answer): Json {
  switch (answer.form) {
    case 'json':
      return { [answer.status ?? 200]: json(answer.status === 202 ? 'It was begun.' : 'Done.', answer.schema) };
    case 'nothing':
      return { 204: { description: 'Done.' } };
    case 'list':
      return { 200: listOf(answer) };
    case 'stream':
      return {
        200: {
          description: answer.description,
          content: {
            [answer.type]: { schema: answer.schema ? jsonSchema(answer.schema, 'output') : { type: 'string' } },
          },
        },
      };
    case 'redirect':
      return { 302: { description: 'Go on there.', headers: { Location: { schema: { type: 'string' } } } } };
  }
}

function json(description: string, schema: z.ZodType): Json {
  return { description, content: { 'application/json': { schema: jsonSchema(schema, 'output') } } };
}

function listOf({ item, rest }: Extract<Answer, { form: 'list' }>): Json {
  const page = {
    type: 'object',
    description: 'One page. On the last one `next` is null, and what is said of the whole list stands beside it.',
    required: ['items', 'next'],
    properties: {
      items: { type: 'array', items: jsonSchema(item, 'output') },
      next: { type: ['string', 'null'] },
      ...(jsonSchema(rest, 'output').properties as Json | undefined),
    },
  };
  const lines = {
    type: 'string',
    description: 'A line {"type":"item","item":…} for each, then {"type":"result",…} or {"type":"error",…}.',
  };
  return {
    description: 'A page, or with Accept: application/x-ndjson all of it.',
    content: { 'application/json': { schema: page }, 'application/x-ndjson': { schema: lines } },
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    ...{ io, unrepresentable: 'any', target: 'draft-2020-12' },
    override: ({ jsonSchema: made }) => nameProperties(made),
  });
  return rest as Json;
}

/** A record with a key for each word of a list is an object with these members. */
function nameProperties(made: z.core.JSONSchema.BaseSchema): void {
  const names = typeof made.propertyNames === 'object' ? made.propertyNames.enum : undefined;
  if (!names || made.required === undefined || typeof made.additionalProperties !== 'object') return;
  const member = made.additionalProperties;
  made.properties = Object.fromEntries(names.map((name) => [String(name), member]));
  made.additionalProperties = false;
  delete made.propertyNames;
}
