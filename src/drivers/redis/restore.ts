/** Puts data back: into a running server, or as a file for one to start with. */
import { resolve } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { dumpFile, dumpPath } from './backup.ts';
import { placeOf } from './connect.ts';
import { openDump } from './dump.ts';
import { restoreToServer } from './restore-server.ts';
import { type Settings, settings } from './settings.ts';
import { serverTitle } from './versions.ts';

type Source = SourceContext<Settings>;

/** Targets: another source, `redis://user@host:port`, a directory; without any, the server it came from. */
export async function restore(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  const { target, targetSource } = request;
  if (targetSource) return await restoreToServer(targetSource as Source, contents, request);
  if (target === undefined) return await restoreToServer(source, contents, request);
  if (/^rediss?:\/\//.test(target)) return await restoreToServer(serverAt(source, target, request), contents, request);
  if (/^\.{0,2}\//.test(target)) return await restoreToDirectory(contents, request, resolve(target));
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target «${target}» is neither a server nor a directory`,
    remedy: 'Say redis://user@host:port, the name of a redis source, or a directory (/path or ./path) for dump.rdb.',
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
  const isOwn = placeOf(parsed.data).title === placeOf(source.settings).title && host === source.host;
  return { ...source, host, settings: isOwn ? { ...parsed.data, password: source.settings.password } : parsed.data };
}

async function restoreToDirectory(
  contents: SnapshotContents,
  request: RestoreRequest,
  directory: string,
): Promise<RestoreOutcome> {
  if (request.include?.length || request.exclude?.length) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: 'a file cannot be restored in part',
      remedy: 'Restore chosen keys into a server (redis://…), or the whole file without --include and --exclude.',
    });
  }
  const { node, header, server } = await openDump(contents);
  const wanted = server ? `${serverTitle(server)} or newer` : `a server that reads RDB version ${header.version}`;
  const steps = [
    `write ${formatBytes(node.size)} as ${directory}/${dumpFile}`,
    `then, by hand: stop the server (${wanted}), put the file where its settings «dir» and «dbfilename» say, readable for its user`,
    'if it has «appendonly yes», start it once with appendonly no and switch it on again with CONFIG SET appendonly yes: otherwise it ignores the file',
    'start the server: it loads the file',
  ];
  if (request.dryRun) return { steps, bytes: node.size, files: 1, problems: [] };
  const { host, existing } = request;
  const written = await contents.writeTree(dumpPath, directory, {
    host,
    existing: request.overwrite ? 'make-equal' : existing,
  });
  return { steps, ...written };
}
