/** Puts data back: into a running server, or as a file for mongorestore. */
import { resolve } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { titleOf } from './address.ts';
import { dumpFile, dumpPath } from './backup.ts';
import { type Dump, isPart, openDump } from './dump.ts';
import { restoreToServer } from './restore-server.ts';
import { type Settings, settings } from './settings.ts';

type Source = SourceContext<Settings>;

/** Targets: another source, `mongodb://user@host:port`, a directory; without any, the server it came from. */
export async function restore(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  const { target, targetSource } = request;
  if (targetSource) return await restoreToServer(targetSource as Source, contents, request);
  if (target === undefined) return await restoreToServer(source, contents, request);
  if (/^mongodb(?:\+srv)?:\/\//.test(target)) {
    return await restoreToServer(serverAt(source, target, request), contents, request);
  }
  if (/^\.{0,2}\//.test(target)) return await restoreToDirectory(source, contents, request, resolve(target));
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target «${target}» is neither a server nor a directory`,
    remedy: `Say mongodb://user@host:port, the name of a mongodb source, or a directory (/path or ./path) for ${dumpFile}.`,
  });
}

/** The source's own password goes to its own server only. */
function serverAt(source: Source, url: string, { host }: RestoreRequest): Source {
  const parsed = settings.safeParse({ url, tls: source.settings.tls });
  if (!parsed.success) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `the target ${url.replace(/\/\/.*@/, '//…@')} ${parsed.error.issues[0].message}`,
      remedy:
        'A server that wants a password has to be declared as a source; then give the name of that source as target.',
    });
  }
  const isOwn = titleOf(parsed.data) === titleOf(source.settings) && host === source.host;
  return { ...source, host, settings: isOwn ? { ...parsed.data, password: source.settings.password } : parsed.data };
}

async function restoreToDirectory(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
  directory: string,
): Promise<RestoreOutcome> {
  if (isPart(request)) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: 'a file cannot be restored in part',
      remedy:
        'Restore chosen collections into a server (mongodb://…), or the whole file without --include and --exclude.',
    });
  }
  const dump = await openDump(source.signal, contents);
  const steps = [`write ${formatBytes(dump.bytes)} as ${directory}/${dumpFile}`, `then, by hand: ${byHand(dump)}`];
  if (request.dryRun) return { steps, bytes: dump.bytes, files: 1, problems: [] };
  const { host, existing } = request;
  const written = await contents.writeTree(dumpPath, directory, {
    host,
    existing: request.overwrite ? 'make-equal' : existing,
  });
  return { steps, ...written };
}

function byHand({ hasOplog }: Dump): string {
  return `mongorestore --archive=${dumpFile}${hasOplog ? ' --oplogReplay' : ''} --host … (MongoDB Database Tools 100 or newer)`;
}
