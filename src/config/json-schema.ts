/** The shape of `holdfast.yaml` as JSON Schema (draft 2020-12), for editors: with the settings of everything this program knows. */
import { z } from 'zod';
import { isSecretMapSetting, isSecretSetting, isTextOrReferenceSetting } from '../base/secret-reference.ts';
import type { Known } from './reading.ts';
import { hostLimitsSection } from './schemas/limits-schema.ts';
import { channelSection } from './sections/notifications.ts';
import { userSection, workspaceSection } from './sections/people.ts';
import { policySection } from './sections/policies.ts';
import { repositorySection } from './sections/repositories.ts';
import { restoreSection } from './sections/restores.ts';
import { serverSection } from './sections/server.ts';
import { sourceSection } from './sections/sources.ts';

/** As much of JSON Schema as is put together here. */
interface Shape {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
}

const secretReference = { $ref: '#/$defs/secret' };

export function configJsonSchema(known: Known): Shape {
  const general = shapeOf(sourceSection);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'holdfast.yaml',
    description: 'What Holdfast backs up, where to, and when.',
    type: 'object',
    properties: {
      server: shapeOf(serverSection),
      repositories: entries('where snapshots are stored', repository(known)),
      hosts: entries('how machines are reached', {
        anyOf: known.hostKinds.map(({ settings, title }) => host(settings, title)),
      }),
      policies: entries('when, where to, how long', shapeOf(policySection)),
      sources: entries('what is protected', {
        anyOf: known.drivers.map(({ name, settings, title }) => source(name, settings, title)),
      }),
      restores: entries('restores that come by themselves', shapeOf(restoreSection)),
      notifications: entries('who is told', { anyOf: known.channelKinds.map(({ settings }) => channel(settings)) }),
      workspaces: entries('what belongs together', shapeOf(workspaceSection)),
      users: entries('who may do what', shapeOf(userSection)),
    },
    patternProperties: { '^x-': { description: 'anchors of your own' } },
    additionalProperties: false,
    $defs: { secret: secretShape, window: general.properties!.window, drill: general.properties!.drill },
  };
}

const text = { type: 'string', minLength: 1 };
const secretShape = {
  description: 'where a secret is; one written in the clear is accepted with a warning',
  anyOf: [
    place('file', { ...text, description: 'a file that holds it' }),
    place('env', { ...text, description: 'an environment variable' }),
    place('command', { type: 'array', items: text, minItems: 1, description: 'a program that prints it' }),
    place('stored', { ...text, description: 'its name in the server’s own store' }),
    place('container', {
      type: 'string',
      pattern: '^[\\w./-]+#[A-Za-z_]\\w*$',
      description: 'NAME#VARIABLE of a container',
    }),
    text,
  ],
};

function place(key: string, value: Shape): Shape {
  return { type: 'object', properties: { [key]: value }, required: [key], additionalProperties: false };
}

function entries(description: string, entry: Shape): Shape {
  return {
    description,
    type: 'object',
    propertyNames: { pattern: '^(?!latest$|all$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
    additionalProperties: entry,
  };
}

function repository({ storageKinds }: Known): Shape {
  const general = shapeOf(repositorySection);
  const settings = storageKinds.flatMap(({ name, settings }) => (settings ? [[name, shapeOf(settings)] as const] : []));
  return {
    ...general,
    properties: { ...general.properties, password: secretReference, ...Object.fromEntries(settings) },
    required: ['url', 'password'],
  };
}

function host(settings: z.ZodType, title: string): Shape {
  return merged(shapeOf(settings), { properties: { limits: shapeOf(hostLimitsSection) } }, title);
}

function source(name: string, settings: z.ZodType, title: string): Shape {
  const own = shapeOf(settings);
  const whole = merged(shapeOf(sourceSection), own, title);
  const properties = {
    ...whole.properties,
    driver: { const: name },
    window: { $ref: '#/$defs/window' },
    drill: { $ref: '#/$defs/drill' },
  };
  return { ...whole, properties, additionalProperties: isOpen(own) };
}

function channel(settings: z.ZodType): Shape {
  return merged(shapeOf(settings), shapeOf(channelSection));
}

/** True where the driver says nothing of what else there may be. */
function isOpen({ additionalProperties }: Shape): boolean {
  return additionalProperties !== false;
}

function merged(one: Shape, other: Shape, title?: string): Shape {
  const required = [...(one.required ?? []), ...(other.required ?? [])];
  return {
    ...one,
    ...(title === undefined ? {} : { title }),
    properties: { ...one.properties, ...other.properties },
    ...(required.length > 0 ? { required } : {}),
  };
}

/** What may be written, not what becomes of it. What only code can judge is left to `holdfast validate`. */
function shapeOf(schema: z.ZodType): Shape {
  const { $schema: _, ...shape } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const given = zodSchema as unknown as z.ZodType;
      if (isSecretSetting(given)) Object.assign(jsonSchema, secretReference);
      else if (isTextOrReferenceSetting(given)) Object.assign(jsonSchema, secretReference);
      else if (isSecretMapSetting(given)) Object.assign(jsonSchema, { additionalProperties: secretReference });
    },
  });
  return shape as Shape;
}
