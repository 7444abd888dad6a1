/** Names of databases as URIs (sqlite.org/uri.html), which alone can ask that nothing is created and nothing is locked. */
import { encodeName } from '../../base/names.ts';
import type { OpenMode } from './messages.ts';

const queries: Readonly<Record<OpenMode, string>> = {
  snapshot: 'mode=ro',
  recover: 'mode=rw',
  frozen: 'mode=ro&immutable=1',
  own: 'mode=rw',
};

export function sqliteUri(path: string, mode: OpenMode): string {
  const encoded = encodeName(path)
    .toString('latin1')
    .replace(/[^A-Za-z0-9/._-]/g, percentEncoded);
  return `file://${encoded}?${queries[mode]}`;
}

function percentEncoded(char: string): string {
  return `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
