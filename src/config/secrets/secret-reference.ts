/**
 * Where a secret is, and how it is read when it is needed. A secret in a file or from a command loses the line ends after
 * it; white space around what is left is refused, because restic would cut it off and could then not open the repository.
 */
import { open } from 'node:fs/promises';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import type { SecretReference } from '../../base/secret-reference.ts';
import { Secret } from '../../base/secrets.ts';
import type { Host } from '../../hosts/host.ts';
import { expandPath } from '../expand-path.ts';
import type { SecretOpeners } from '../reading.ts';

export type { SecretReference } from '../../base/secret-reference.ts';

/** What reading a secret needs of the world. */
export interface SecretPlaces {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly run: Host['run'];
  readonly signal?: AbortSignal;
}

const mostSecretBytes = 64 << 10;
const forms = 'Write { file: /path }, { env: NAME } or { command: [program, argument] }.';

interface Fault {
  readonly message: string;
  readonly remedy: string;
}

/** The reference, or what is wrong with it. */
export function parseSecretReference(
  value: unknown,
  folder: string,
  openers: SecretOpeners = {},
): SecretReference | Fault {
  if (typeof value === 'string') return clearSecret(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return notASecret(value);
  const entries = Object.entries(value);
  if (entries.length !== 1) return { message: 'names no single place for the secret', remedy: forms };
  const [[kind, place]] = entries;
  if (kind === 'stored') return storedSecret(place, openers);
  if (kind === 'container') return containerSecret(place, openers);
  return placedSecret(kind, place, folder);
}

function notASecret(value: unknown): Fault {
  if (value === undefined) return { message: 'is missing', remedy: forms };
  if (value === null) return { message: 'is empty', remedy: forms };
  const quoted = typeof value === 'object' ? '' : ' A secret in the clear needs quotes.';
  return { message: 'is not a secret', remedy: forms + quoted };
}

function placedSecret(kind: string, place: unknown, folder: string): SecretReference | Fault {
  switch (kind) {
    case 'file':
      return isText(place)
        ? { from: 'file', path: expandPath(place, folder) }
        : { message: 'names no file', remedy: forms };
    case 'env':
      return isText(place) ? { from: 'env', name: place } : { message: 'names no variable', remedy: forms };
    case 'command':
      if (Array.isArray(place) && place.length > 0 && place.every(isText)) return { from: 'command', argv: place };
      return { message: 'is not a command', remedy: 'Write the program and its arguments as a list: [op, read, …].' };
    case 'vault':
      return {
        message: 'is in a vault, which this version cannot read by itself',
        remedy: 'Use { command: [vault, kv, get, -field=password, PATH] }.',
      };
    default:
      return { message: `does not say where the secret is («${kind}»)`, remedy: forms };
  }
}

function storedSecret(name: unknown, { stored }: SecretOpeners): SecretReference | Fault {
  if (!isText(name)) return { message: 'names no stored secret', remedy: forms };
  if (!stored) return { from: 'stored', name };
  const open = stored(name);
  if (open) return { from: 'stored', name, open };
  return { message: `names the stored secret «${name}», which is not there`, remedy: 'Give the secret once more.' };
}

function containerSecret(place: unknown, { container: read }: SecretOpeners): SecretReference | Fault {
  const match = isText(place) ? /^([\w./-]+)#([A-Za-z_]\w*)$/.exec(place) : null;
  if (!match) return { message: 'names no variable of a container', remedy: 'Write { container: "NAME#VARIABLE" }.' };
  const [, container, variable] = match;
  return { from: 'container', container, variable, ...(read ? { open: () => read(container, variable) } : {}) };
}

function clearSecret(text: string): SecretReference | Fault {
  const variable = /^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?$/.exec(text)?.[1];
  if (variable) return { message: 'is not expanded', remedy: `Write { env: ${variable} }.` };
  if (text === '') return { message: 'is empty', remedy: forms };
  return { from: 'clear', secret: new Secret(text) };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** Reads the secret. `secret.unavailable` names the place, never the content. */
export async function readSecret(reference: SecretReference, owner: string, places: SecretPlaces): Promise<Secret> {
  switch (reference.from) {
    case 'clear':
      return reference.secret;
    case 'env':
      return fromEnvironment(reference.name, owner, places.env);
    case 'file':
      return checked(await readSecretFile(reference.path, owner), `the file ${reference.path}`, owner);
    case 'stored':
    case 'container':
      return await openSecret(reference, owner);
    case 'command':
      return checked(
        await runSecretCommand(reference.argv, owner, places),
        `the output of ${reference.argv[0]}`,
        owner,
      );
  }
}

async function openSecret(
  reference: Extract<SecretReference, { from: 'stored' | 'container' }>,
  owner: string,
): Promise<Secret> {
  if (reference.open) return await reference.open();
  throw reference.from === 'stored'
    ? unavailable(
        `the secret of ${owner} is stored by the server under the name ${reference.name}, and this is not the server`,
        'Run it there, or through it: holdfast --server URL …',
      )
    : unavailable(
        `the secret of ${owner} is in the environment of the container ${reference.container}, and no container engine is known here`,
        'Run it where the containers are.',
      );
}

function fromEnvironment(name: string, owner: string, env: SecretPlaces['env']): Secret {
  const value = env[name];
  if (value !== undefined && value !== '') return new Secret(value);
  throw unavailable(
    `the secret of ${owner}: the environment variable ${name} is ${value === '' ? 'empty' : 'not set'}`,
    `Set it for this program, for example: ${name}=… holdfast …`,
  );
}

async function readSecretFile(path: string, owner: string): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const buffer = Buffer.alloc(mostSecretBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } catch (cause) {
    const isMissing = systemCode(cause) === 'ENOENT';
    const reason = isMissing ? 'it does not exist' : messageOf(cause);
    const remedy = isMissing
      ? 'Correct the path, or put the file back from where you keep a copy: a secret that is missing is never made anew.'
      : 'Check the path and that this user may read it.';
    throw unavailable(`the secret of ${owner} cannot be read from the file ${path}: ${reason}`, remedy, cause);
  }
}

async function runSecretCommand(argv: readonly string[], owner: string, places: SecretPlaces): Promise<Uint8Array> {
  // Unlike programs a driver starts, this one gets the whole environment: the tokens of `op`, `vault` and the like are in it.
  const env = Object.fromEntries(
    Object.entries(places.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const process = await places.run({ argv, env, signal: places.signal });
  await process.endInput();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of process.stdout) {
    length += part.byteLength;
    if (length > mostSecretBytes) break;
    parts.push(Uint8Array.from(part));
  }
  if (length > mostSecretBytes) process.kill();
  const { status, stderr } = await process.exit;
  if (length > mostSecretBytes) return Buffer.alloc(length);
  if (status === 0) return Buffer.concat(parts);
  const last = stderr.trim().split('\n').at(-1) ?? '';
  throw unavailable(
    `the secret of ${owner}: the command ${argv[0]} ended with status ${status}${last === '' ? '' : `: ${last}`}`,
    'Run the command yourself to see what it needs.',
  );
}

function checked(bytes: Uint8Array, place: string, owner: string): Secret {
  const problem = (what: string, remedy: string): HoldfastError =>
    unavailable(`the secret of ${owner}: ${place} ${what}`, remedy);
  if (bytes.byteLength > mostSecretBytes)
    throw problem('is longer than 64 KiB', 'Name the file that holds the secret alone.');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw problem('is not UTF-8 text', 'Store the secret as text, for example in base64.');
  }
  const value = text.replace(/[\r\n]+$/, '');
  if (value === '') throw problem('is empty', 'Put the secret back from where you keep a copy: it is never made anew.');
  if (value.trim() !== value)
    throw problem('begins or ends with white space', 'Remove the white space around the secret.');
  return new Secret(value);
}

function unavailable(message: string, remedy: string, cause?: unknown): HoldfastError {
  return new HoldfastError({ code: 'secret.unavailable', message, remedy, cause });
}
