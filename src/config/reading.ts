/** One reading of a configuration, as its sections see it. */
import type { z } from 'zod';
import type { Secret } from '../base/secrets.ts';
import type { AnyDriver } from '../drivers/driver.ts';
import type { AnyHostKind } from '../hosts/host.ts';
import type { AnyStorageKind } from '../storage/storage.ts';
import type { ConfigPath, Problem } from './problems.ts';
import type { Finding } from './schema-issues.ts';

/** As much of a channel's kind as a configuration needs: `notify/channel.ts`. */
export interface KnownChannel {
  /** The key that chooses it: `ntfy`, `email`. */
  readonly name: string;
  /** All of the entry but what every channel has, the choosing key included; every field has `.describe()`. */
  readonly settings: z.ZodType;
}

/** Where secrets are that only a server, or a machine with containers, has. Each is opened when it is read. */
export interface SecretOpeners {
  /** `undefined` if there is none of that name. */
  stored?(name: string): (() => Promise<Secret>) | undefined;
  /** A variable in a container's environment. */
  container?(container: string, variable: string): Promise<Secret>;
}

export interface Known {
  readonly drivers: readonly AnyDriver[];
  readonly storageKinds: readonly AnyStorageKind[];
  readonly hostKinds: readonly AnyHostKind[];
  readonly channelKinds: readonly KnownChannel[];
  readonly secrets?: SecretOpeners;
}

/** What reading a section needs: where it is, what is known, and where to put what is wrong. */
export interface Reading extends Known {
  readonly folder: string;
  readonly value: Readonly<Record<string, unknown>>;
  problem(finding: Finding, level?: Problem['level'], kind?: Problem['kind']): void;
  /** The value as the schema gives it; `undefined` if problems were reported. */
  check<T>(schema: z.ZodType<T>, value: unknown, path: ConfigPath): T | undefined;
}
