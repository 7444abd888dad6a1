/** Puts the bytes back: into a file, or into the source's restore command. */
import { resolve } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { outputNode } from './output-node.ts';
import { ending, feed, type Program, programFailure, start, told, toolsOf } from './programs.ts';
import { knownSettings, type Settings } from './settings.ts';

type Source = SourceContext<Settings>;

/** Targets: a file (`/path`, `./path`), another command source, or none: the restore command of this one. */
export async function restore(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  if (request.include?.length || request.exclude?.length) {
    throw invalidTarget('the output of a command cannot be restored in part', 'Leave --include and --exclude away.');
  }
  if (request.target === undefined) {
    return await restoreByProgram((request.targetSource as Source | undefined) ?? source, contents, request);
  }
  if (/^\.{0,2}\//.test(request.target)) return await restoreToFile(source, contents, request, resolve(request.target));
  throw invalidTarget(
    `the target «${request.target}» is neither a file nor a source of this driver`,
    'Give a file as /path or ./path, the name of a command source, or --in-place for the restore command of this one.',
  );
}

async function restoreByProgram(
  source: Source,
  contents: SnapshotContents,
  { dryRun }: RestoreRequest,
): Promise<RestoreOutcome> {
  const { restore: argv, cwd } = knownSettings(source);
  if (!argv) {
    const remedy = 'Restore to a file (--to ./NAME), or set restore: [program, argument] at the source.';
    throw invalidTarget(`the source ${source.name} has no restore command`, remedy);
  }
  const { path, node } = await outputNode(contents);
  const program: Program = { noun: 'the restore command', argv, cwd };
  const steps = [`run ${argv[0]} on ${source.host.name} and give it ${formatBytes(node.size)} on stdin`];
  if (dryRun) return { steps, bytes: node.size, files: 1, problems: [] };
  const tools = await toolsOf(source);
  const process = await start(source.host, program, tools, source.signal);
  const { exit, bytes, isWhole } = await feed(process, contents.read(path));
  throwIfCancelled(source.signal);
  if (exit.status !== 0 || !isWhole) {
    const what = `${ending(exit)}${isWhole ? '' : ` after ${formatBytes(bytes)} of ${formatBytes(node.size)}`}`;
    throw programFailure('restore.failed', source, program, { what, words: told(exit, tools) });
  }
  return { steps, bytes, files: 1, problems: [] };
}

/** The file appears under its name when it is complete. It is its owner's alone: a dump holds what the source keeps to itself. */
async function restoreToFile(
  source: Source,
  contents: SnapshotContents,
  { host, dryRun, overwrite }: RestoreRequest,
  target: string,
): Promise<RestoreOutcome> {
  const { path, node } = await outputNode(contents);
  const present = await exists(host, target);
  if (present && !overwrite) {
    throw new HoldfastError({
      code: 'restore.target-exists',
      message: `there is a file ${target}`,
      remedy: 'Choose another name, or say --overwrite.',
    });
  }
  const steps = [`${present ? 'replace' : 'write'} ${target} (${formatBytes(node.size)})`];
  if (dryRun) return { steps, bytes: node.size, files: 1, problems: [] };
  const slash = target.lastIndexOf('/');
  await using directory = await host.openTarget(target.slice(0, slash) || '/', overwrite ? 'replace' : 'refuse');
  const file = await directory.createFile(target, node.size);
  let bytes = 0;
  try {
    for await (const chunk of contents.read(path)) {
      throwIfCancelled(source.signal);
      await file.writeAt(chunk, bytes);
      bytes += chunk.byteLength;
      source.report({ type: 'progress', stage: 'restore', bytesDone: bytes, bytesTotal: node.size });
    }
    await file.close();
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await directory.finish();
  return { steps, bytes, files: 1, problems: [] };
}

async function exists(host: Host, path: string): Promise<boolean> {
  try {
    await host.files.attributes(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'source.missing')) return false;
    throw error;
  }
}

function invalidTarget(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'restore.target-invalid', message, remedy });
}
