/** Where a server is, from its URL. */

import { HoldfastError } from '../../base/errors.ts';
import type { Address } from '../../hosts/host.ts';
import type { SourceContext } from '../driver.ts';
import type { Settings } from './settings.ts';

export type Source = SourceContext<Settings>;

export interface Place {
  readonly user: string;
  /** Without a database in the URL: `postgres`. */
  readonly database: string;
  readonly host: string;
  /** The URL has a host. */
  readonly isNamed: boolean;
  readonly port: number;
  readonly socketDirectory?: string;
  /** Without database: `postgres://user@host:5432`. */
  readonly title: string;
}

const urlForm = /^postgres(?:ql)?:\/\/(?:([^@]+)@)?(\[[^\]]+\]|[^@:/]*)(?::(\d+))?(?:\/(.*))?$/;

export function placeOf({ url, socket }: Pick<Settings, 'url' | 'socket'>): Place {
  const [, user = 'postgres', host = '', port = '5432', database = ''] = urlForm.exec(url) ?? [];
  const plain = { user: decoded(user), port: Number(port), database: decoded(database) || 'postgres' };
  const bare = host.replace(/^\[|\]$/g, '') || '127.0.0.1';
  const title =
    socket === undefined ? `postgres://${user}@${host || '127.0.0.1'}:${port}` : `postgres://${user}@${socket}:${port}`;
  return { ...plain, host: bare, isNamed: host !== '', socketDirectory: socket, title };
}

export function addressOf(place: Place): Address {
  const { host, port, socketDirectory } = place;
  return socketDirectory === undefined ? { host, port } : { socketPath: `${socketDirectory}/.s.PGSQL.${port}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `«${text}» in the URL of the PostgreSQL server is not percent-encoded correctly`,
      remedy: 'Write a percent sign as %25, a slash as %2F, an at sign as %40.',
    });
  }
}
