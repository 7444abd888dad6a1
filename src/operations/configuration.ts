/** The configuration, for faces. */
import { type Config, type Known, loadConfig } from '../config/index.ts';

export type { Config, Known };
export { loadConfig };

/** Nothing declared: for repositories that are named by their address. */
export function emptyConfig(file: string): Config {
  return {
    file,
    repositories: new Map(),
    hosts: new Map(),
    policies: new Map(),
    sources: new Map(),
    warnings: [],
  };
}
