/** What can be said of a source before anything is stored. */
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { Finding, SourceContext } from '../driver.ts';
import { type FilesSettings, normalPaths } from './settings.ts';
import { findSourcePaths } from './source-paths.ts';

/** File systems that hold no data but show the kernel's state. */
const kernelDirectories = ['/proc', '/sys', '/dev'];

export async function probeFiles(source: SourceContext<FilesSettings>): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const path of normalPaths(source.settings)) findings.push(await probePath(source, path));
  findings.push(...(await probePatterns(source)), ...probeKernelDirectories(source.settings));
  for (const message of source.host.limits ?? []) {
    findings.push({ level: 'warning', message, remedy: 'Install the optional packages of Holdfast on that machine.' });
  }
  return findings;
}

async function probePath({ host, settings }: SourceContext<FilesSettings>, path: string): Promise<Finding> {
  const shown = printableName(path);
  try {
    const found = await host.files.attributes(path);
    if (found.type === 'dir') {
      const entries = await host.files.list(path, () => {});
      return { level: 'ok', message: `${shown} is a directory with ${entries.length} entries` };
    }
    if (found.type === 'file') await (await host.files.open(path)).close();
    return describeObject(shown, found);
  } catch (error) {
    const level = hasCode(error, 'source.missing') && settings.allowMissing ? 'warning' : 'error';
    const remedy = error instanceof HoldfastError ? error.remedy : 'Check the path and the rights on it.';
    return { level, message: messageOf(error), remedy };
  }
}

function describeObject(shown: string, found: NodeAttributes): Finding {
  if (found.type !== 'symlink') return { level: 'ok', message: `${shown} is a ${found.type}` };
  return {
    level: 'warning',
    message: `${shown} is a symbolic link to ${printableName(found.linkTarget ?? '')}; only the link is backed up`,
    remedy: 'Name what it points to, if that is what is to be backed up.',
  };
}

async function probePatterns({ host, settings }: SourceContext<FilesSettings>): Promise<Finding[]> {
  try {
    await findSourcePaths(host.files, { ...settings, allowMissing: true });
    return [];
  } catch (error) {
    if (!hasCode(error, 'config.invalid')) return []; // a missing path was told by probePath
    return [{ level: 'error', message: error.message, remedy: error.remedy }];
  }
}

function probeKernelDirectories(settings: FilesSettings): Finding[] {
  if (!normalPaths(settings).includes('/') || settings.oneFileSystem) return [];
  if (kernelDirectories.every((path) => settings.exclude.some((pattern) => pattern.startsWith(path)))) return [];
  return [
    {
      level: 'warning',
      message: 'the whole machine is backed up with /proc, /sys and /dev, which hold no data and have endless files',
      remedy: 'Set oneFileSystem, and name every file system with data in paths; or exclude those directories.',
    },
  ];
}
