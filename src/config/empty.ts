/** Nothing declared: for repositories that are named by their address. */
import { defaultWorkspace } from '../model/principal.ts';
import type { Config } from './config.ts';
import { defaultServer } from './sections/server.ts';

export function emptyConfig(file: string): Config {
  return {
    file,
    repositories: new Map(),
    hosts: new Map(),
    policies: new Map(),
    sources: new Map(),
    restores: new Map(),
    notifications: new Map(),
    workspaces: new Map([[defaultWorkspace, { name: defaultWorkspace, title: 'Default' }]]),
    users: new Map(),
    server: defaultServer(),
    warnings: [],
    origins: new Map(),
    leftOut: [],
  };
}
