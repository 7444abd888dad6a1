/**
 * An operation is a verb a person can do, once: faces (CLI, API, UI, MCP) parse, call, and render. It takes what it uses
 * as parameters and gives plain JSON: no bigint, no bytes, no class.
 */
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { Config } from '../config/index.ts';
import type { AnyDriver } from '../drivers/driver.ts';
import type { AnyHostKind, ContainerEngine, Host } from '../hosts/host.ts';
import type { Principal, Role } from '../model/principal.ts';
import type { Report } from '../model/run.ts';
import type { AnyChannelKind } from '../notify/channel.ts';
import type { WindowRecords } from '../runs/window/open-records.ts';
import type { AnyStorageKind } from '../storage/storage.ts';

export interface Operation<Input, Output, Uses> {
  /** The verb, as on the command line. */
  readonly name: string;
  /** The least role that may do it. */
  readonly permission: Role;
  readonly input: z.ZodType<Input>;
  readonly output: z.ZodType<Output>;
  run(input: Input, uses: Uses): Promise<Output>;
}

/** How one execution is watched, timed and stopped. */
export interface Execution {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly report: Report;
  /** Where it is written down what a maintenance window stopped; absent: in the state directory of this machine. */
  readonly windows?: WindowRecords;
}

/** Takes what a long list gives, one by one; the list waits for it. */
export interface Emitting<Item> {
  readonly emit: (item: Item) => Promise<void> | void;
}

/** What it takes to open a repository by its name or address. */
export interface RepositoryAccess {
  readonly config: Config;
  readonly storageKinds: readonly AnyStorageKind[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** This machine: reads secrets, and is the host of local sources. Made when it is first needed. */
  readonly localHost: () => Host;
}

/** And to work with the sources in it. */
export interface SourceAccess extends RepositoryAccess {
  readonly drivers: readonly AnyDriver[];
  readonly hostKinds: readonly AnyHostKind[];
  /** Ways to tell somebody: a configuration is checked against their settings. */
  readonly channelKinds: readonly AnyChannelKind[];
  /** Opens the engine that throwaway containers can be started with, if there is one; who opens it closes it. */
  readonly openContainers: () => Promise<ContainerEngine | undefined>;
}

/** What it takes to ask what Holdfast remembers; only where a server or worker runs. */
export interface CatalogueAccess {
  readonly catalogue: Catalogue;
  readonly principal: Principal;
  /** Where who asks is, for the audit log; absent at this machine. */
  readonly address?: string;
}

/** Types an operation by its schemas. */
export function operation<Input, Output, Uses>(
  definition: Operation<Input, Output, Uses>,
): Operation<Input, Output, Uses> {
  return definition;
}
