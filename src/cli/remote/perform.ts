/** Performs operations on a server instead of here: the same input, the same output. */
import { resolve } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import type { Operation } from '../../operations/operation.ts';
import type { RestoreOutput } from '../../operations/snapshots/restore.ts';
import { fetchFile, saveFile, type Wanted } from './downloads.ts';
import { followRun, followRuns } from './follow-runs.ts';
import { requestFor, routeFor } from './routes.ts';
import type { RemoteServer } from './server.ts';
import { wholeStatus } from './whole-status.ts';

type Emit = (item: never) => Promise<void> | void;
type Input = Readonly<Record<string, unknown>>;

interface Remotely {
  readonly server: RemoteServer;
  readonly report: Report;
  readonly emit?: Emit;
}

/** Files come here; everything else happens there. */
export async function performRemotely<Given, Output>(
  operation: Pick<Operation<Given, Output, never>, 'name' | 'output'>,
  input: Given,
  remotely: Remotely,
): Promise<Output> {
  const given = input as Input;
  const here = locally(operation.name, given);
  if (here) return (await here(given, remotely)) as Output;
  const { server, report, emit } = remotely;
  const route = await routeFor(operation.name, server);
  const request = requestFor(route, given);
  if (emit) return (await readLines(request, emit, server)) as Output;
  if (operation.name === 'status') return (await wholeStatus(given, { route, server })) as Output;
  const answer = await server.json<object>(request.path, request);
  if (!route.startsRun) return answer as Output;
  const { runs } = answer as { runs: { id: string }[] };
  return (await followRuns(
    runs.map((one) => one.id),
    server,
    report,
  )) as Output;
}

type Here = (input: Input, remotely: Remotely) => Promise<unknown>;

function locally(name: string, input: Input): Here | undefined {
  if (name === 'cat') return print;
  if (name === 'download') return download;
  if (name === 'runs log') return input.limit === undefined ? followLog : undefined;
  return name === 'restore' && isHere(input.to) ? restoreHere : undefined;
}

/** A path is one of this machine; a name is a source, or a database, of the server’s. */
function isHere(to: unknown): to is string {
  return typeof to === 'string' && /^(\.{0,2}\/|~\/|\.{1,2}$)/.test(to);
}

async function followLog(input: Input, { server, emit }: Remotely): Promise<object> {
  const { id, after } = input as { readonly id: string; readonly after: number };
  return await followRun(id, after, server, async (line) => await emit?.(line as never));
}

async function print(input: Input, { server, emit }: Remotely): Promise<object> {
  const file = await fetchFile(input as unknown as Wanted, server);
  let bytes = 0;
  for await (const part of file.parts) {
    await emit?.(part as never);
    bytes += part.byteLength;
  }
  return { snapshot: file.snapshot, path: file.name, bytes };
}

async function download(input: Input, { server, report }: Remotely): Promise<object> {
  const wanted = input as unknown as Wanted & { readonly to?: string };
  const fetched = await fetchFile(wanted, server);
  const file = wanted.to ?? fetched.name;
  return {
    snapshot: fetched.snapshot,
    path: wanted.path ?? fetched.name,
    bytes: await saveFile(fetched, file, report),
    file,
  };
}

/** What the snapshot holds, into a file of this machine: for who may list and download, and nothing else. */
async function restoreHere(input: Input, { server, report }: Remotely): Promise<RestoreOutput> {
  const { snapshot, repository, to, include, exclude } = input as unknown as Wanted & Record<string, unknown>;
  const patterns = [...((include as string[]) ?? []), ...((exclude as string[]) ?? [])];
  if (patterns.length > 0 || input.overwrite || input.dryRun) throw onlyThere();
  const startedMs = server.clock.monotonicMs();
  const fetched = await fetchFile({ snapshot, ...(repository === undefined ? {} : { repository }) }, server);
  const target = resolve(String(to));
  const bytes = await saveFile(fetched, target, report);
  return {
    ...{ snapshot: fetched.snapshot, time: fetched.time, repository: repository ?? '', target, dryRun: false },
    ...{ steps: [], files: 1, bytes, durationMs: Math.round(server.clock.monotonicMs() - startedMs), problems: [] },
  };
}

function onlyThere(): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: 'from a server, a snapshot comes as a whole into a new file',
    remedy: 'Take one file of it with: holdfast download SNAPSHOT PATH --to FILE',
  });
}

/** Lists of any length, line by line. */
async function readLines(
  request: { readonly path: string; readonly method: string },
  emit: Emit,
  server: RemoteServer,
): Promise<unknown> {
  const response = await server.ask(request.path, { ...request, accept: 'application/x-ndjson' });
  let rest = '';
  for await (const text of (response.body ?? new ReadableStream<Uint8Array>()).pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const document = JSON.parse(line) as { type: string; item?: never; message?: string; remedy?: string };
      if (document.type === 'item') await emit(document.item as never);
      else return ended(document);
    }
  }
  throw new HoldfastError({
    code: 'host.unreachable',
    message: `the answer of ${server.url} was cut off`,
    remedy: 'Try again.',
    retry: 'now',
  });
}

function ended({
  type,
  message = '',
  remedy = '',
  ...rest
}: {
  type: string;
  message?: string;
  remedy?: string;
}): object {
  if (type === 'result') return rest;
  throw new HoldfastError({ code: 'host.command-failed', message, remedy });
}
