/**
 * The local file system. `node:fs` calls are used synchronously where they take microseconds (a round trip through the
 * thread pool costs ten times the call); long listings let other work run in between.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { decodeName, printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { HostFiles } from '../host.ts';
import type { Accounts } from './accounts.ts';
import { describeStat, readExtendedAttributes } from './attributes.ts';
import { readFailure } from './failures.ts';
import { openReader, readWholeSync } from './file-reader.ts';
import { withSystemPath } from './long-paths.ts';
import type { Syscalls, SystemPath } from './syscalls.ts';

/** Entries examined between two turns of the event loop: some milliseconds. */
const entriesPerTurn = 500;

export function localFiles(calls: Syscalls, accounts: Accounts): HostFiles {
  const examine = (name: string, path: string, unreadable: (path: string, error: unknown) => void): NodeAttributes =>
    withSystemPath(path, (at) => {
      const attributes = describeStat(name, at, lstatSync(at, { bigint: true }), accounts);
      const xattrs = extendedAttributes(calls, path, at, unreadable);
      return xattrs ? { ...attributes, xattrs } : attributes;
    });
  return {
    attributes: async (path) => {
      try {
        const name = path === '/' ? '' : path.slice(path.lastIndexOf('/') + 1);
        return examine(name, path, (_path, error) => {
          throw error;
        });
      } catch (error) {
        throw readFailure(path, error);
      }
    },
    list: async (path, unreadable) => {
      const names = readNames(path);
      const prefix = path === '/' ? '/' : `${path}/`;
      const entries: NodeAttributes[] = [];
      for (const [at, name] of names.entries()) {
        if (at % entriesPerTurn === entriesPerTurn - 1) await setImmediate();
        const child = prefix + name;
        try {
          entries.push(examine(name, child, unreadable));
        } catch (error) {
          if (systemCode(error) !== 'ENOENT') unreadable(child, readFailure(child, error));
        }
      }
      return entries;
    },
    open: (path) => openReader(path, calls, accounts),
    readWhole: readWholeSync,
  };
}

/** What cannot be read of an object's extended attributes is told, and does not keep the object out of the backup. */
function extendedAttributes(
  calls: Syscalls,
  path: string,
  at: SystemPath,
  unreadable: (path: string, error: unknown) => void,
): NodeAttributes['xattrs'] {
  const tell = (what: string, error: unknown): void => {
    if (systemCode(error) === 'ENOENT') throw error; // the object itself is gone
    unreadable(path, incomplete(path, what, error));
  };
  try {
    return readExtendedAttributes(calls, at, false, (name, error) =>
      tell(`its attribute ${printableName(name)}`, error),
    );
  } catch (error) {
    tell('its extended attributes', error);
    return undefined;
  }
}

function incomplete(path: string, what: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `of ${printableName(path)}, ${what} cannot be read: ${systemCode(cause) ?? cause}`,
    remedy: 'Run as root, or as a user who may read it. The rest of it is backed up.',
    cause,
  });
}

/** Names are text where they are UTF-8 (the usual case, and fast), else what `decodeName` makes of the raw bytes. */
function readNames(path: string): string[] {
  try {
    return withSystemPath(path, (at) => {
      const names = readdirSync(at);
      return names.some((name) => name.includes('\ufffd')) ? readdirSync(at, 'buffer').map(decodeName) : names;
    });
  } catch (error) {
    throw readFailure(path, error);
  }
}
