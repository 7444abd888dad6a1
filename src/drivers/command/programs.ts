/** The programs a source names: with their secrets, and with what they say when they fail. */
import { HoldfastError } from '../../base/errors.ts';
import type { Host, HostProcess } from '../../hosts/host.ts';
import type { SourceContext } from '../driver.ts';
import type { Settings } from './settings.ts';

/** What of stderr an error repeats: characters, from the end. */
const toldCharacters = 600;
const hidden = '[secret]';

export interface Tools {
  readonly env: Readonly<Record<string, string>>;
  /** The text without any of the secrets. */
  mask(text: string): string;
}

/** Reads the secrets. `secret.unavailable`. */
export async function toolsOf(source: SourceContext<Settings>): Promise<Tools> {
  const secrets: Record<string, string> = {};
  for (const [name, reference] of Object.entries(source.settings.secrets ?? {})) {
    secrets[name] = (await source.secret(reference, `source ${source.name}, variable ${name}`)).reveal();
  }
  return { env: { ...source.settings.env, ...secrets }, mask: masker(Object.values(secrets)) };
}

/** Also masks each line of a secret of several lines, and how it stands in a URL. The longest go first: one may hold another. */
export function masker(secrets: readonly string[]): (text: string) => string {
  const forms = secrets.flatMap((secret) => [secret, ...secret.split(/\r?\n/), encodeURIComponent(secret)]);
  const shown = [...new Set(forms)].filter((form) => form.trim() !== '').toSorted((a, b) => b.length - a.length);
  return (text) => shown.reduce((masked, form) => masked.replaceAll(form, hidden), text);
}

export interface Program {
  /** `the command`, `the restore command`. */
  readonly noun: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
}

export async function start(
  host: Host,
  { argv, cwd }: Program,
  { env }: Tools,
  signal: AbortSignal,
): Promise<HostProcess> {
  return await host.run({ argv, cwd, env, signal });
}

type Exit = Awaited<HostProcess['exit']>;

/** How it ended, in words: `ended with status 3`, `was killed by SIGTERM`. */
export function ending({ status, signal }: Exit): string {
  return status === null ? `was killed by ${signal ?? 'a signal'}` : `ended with status ${status}`;
}

/** The end of what it said on stderr; masked before it is cut, so that no part of a secret is left. */
export function told({ stderr }: Exit, { mask }: Tools): string {
  const text = mask(stderr).trim();
  const tail = text.length > toldCharacters ? `…${text.slice(-toldCharacters)}` : text;
  return tail.replace(/\s*\n\s*/g, ' | ');
}

export function programFailure(
  code: 'host.command-failed' | 'restore.failed',
  source: SourceContext<Settings>,
  { noun, argv }: Program,
  { what, words }: { readonly what: string; readonly words: string },
): HoldfastError {
  return new HoldfastError({
    code,
    message: `${noun} ${argv[0]} of ${source.name} ${what}${words === '' ? '' : `: ${words}`}`,
    remedy: 'Run it by hand on that machine, with the same environment, to see what it needs.',
  });
}

/**
 * Gives a program bytes on stdin and waits for its end; what it prints is not kept. A program that
 * ended before it had taken everything is no error here; `isWhole` tells. Memory: one chunk.
 */
export async function feed(
  process: HostProcess,
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly exit: Exit; readonly bytes: number; readonly isWhole: boolean }> {
  const printed = drain(process);
  printed.catch(() => {}); // awaited below
  let bytes = 0;
  let isWhole = true;
  try {
    for await (const chunk of chunks) {
      isWhole = await process.write(chunk).then(
        () => true,
        () => false, // it ended: its status says why
      );
      if (!isWhole) break;
      bytes += chunk.byteLength;
    }
    await process.endInput();
  } catch (error) {
    process.kill();
    throw error;
  }
  await printed;
  return { exit: await process.exit, bytes, isWhole };
}

export async function drain({ stdout }: HostProcess): Promise<void> {
  for await (const _ of stdout);
}
