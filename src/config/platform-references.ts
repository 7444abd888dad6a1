/** The same for restores, channels and people. */
import type { Config } from './config.ts';
import type { Reading } from './reading.ts';
import { refer, referToEach } from './refer.ts';

const everywhere = '*';

export function checkPlatformReferences(
  { restores, notifications, users, server }: Pick<Config, 'restores' | 'notifications' | 'users' | 'server'>,
  reading: Reading,
): void {
  for (const { name, source, after, repository } of restores.values()) {
    const path = ['restores', name];
    refer(reading, 'sources', source, [...path, 'source']);
    referToEach(reading, 'policies', { named: after, path: [...path, 'after'] });
    if (repository !== undefined) refer(reading, 'repositories', repository, [...path, 'repository']);
  }
  for (const channel of notifications.values()) {
    for (const section of ['sources', 'policies', 'repositories', 'workspaces'] as const) {
      referToEach(reading, section, { named: channel[section], path: ['notifications', channel.name, section] });
    }
  }
  for (const { name, roles } of users.values()) checkWorkspaces(reading, roles.keys(), ['users', name, 'roles']);
  for (const [group, roles] of server.oidc?.roles ?? []) {
    checkWorkspaces(reading, roles.keys(), ['server', 'oidc', 'roles', group]);
  }
}

function checkWorkspaces(reading: Reading, named: Iterable<string>, path: readonly string[]): void {
  for (const workspace of named) {
    if (workspace !== everywhere) refer(reading, 'workspaces', workspace, [...path, workspace]);
  }
}
