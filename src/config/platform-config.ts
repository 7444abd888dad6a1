/** What the platform is told by the configuration: its server, its people, its channels. */
import type { SecretReference } from '../base/secret-reference.ts';
import type { Role } from '../model/principal.ts';
import type { ChannelPlan } from '../notify/route.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** `server:`, with what is not given filled in. */
export interface ServerConfig {
  /** Default `127.0.0.1:8321`. */
  readonly listen: ListenAddress;
  /** As people reach it, without a slash at its end. */
  readonly url?: string;
  /** Absent: `catalogue.db` in the state directory. */
  readonly catalogue?: CatalogueSetting;
  /** Seals the secrets that are stored. Absent: `server.key` in the state directory, made when it is first needed. */
  readonly key?: SecretReference;
  readonly tls?: { readonly certificate: string; readonly key: SecretReference };
  /** Addresses or networks (CIDR) whose `Forwarded` headers are believed. */
  readonly trustedProxies: readonly string[];
  /** Absent: no agents are let in. */
  readonly agents?: { readonly listen: ListenAddress; readonly names: readonly string[] };
  /** Whether labels of the containers of this machine's engine declare sources. Default false. */
  readonly labels: boolean;
  /** How many runs at once. */
  readonly limits: RunLimits;
  readonly history: { readonly runsMs: number; readonly logsMs: number; readonly eventsMs: number };
  /** `open`: `/metrics` is answered without a token. `textfile`: written for node_exporter. */
  readonly metrics: { readonly open: boolean; readonly textfile?: string };
  readonly oidc?: OidcSettings;
}

export interface RunLimits {
  readonly runs: number;
  readonly perHost: number;
  readonly perRepository: number;
}

export type CatalogueSetting =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly password?: SecretReference };

export interface OidcSettings {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: SecretReference;
  readonly scopes: readonly string[];
  /** Of who is in no group of `roles`; absent: they are not let in. */
  readonly defaultRole?: Role;
  readonly groupsClaim: string;
  /** By group: the role by workspace; `*` is everywhere. */
  readonly roles: ReadonlyMap<string, ReadonlyMap<string, Role>>;
  /** Whether an account with the same e-mail address, verified by the provider, is theirs. */
  readonly linkByEmail: boolean;
}

/** A restore that comes by itself, for example production to staging. Either `to` or `inPlace`, as in `holdfast restore`. */
export interface RestoreEntry {
  readonly name: string;
  readonly source: string;
  /** Cron. */
  readonly schedule?: string;
  readonly everyMs?: number;
  readonly timezone?: string;
  readonly jitterMs?: number;
  /** Policies whose runs come first; see `PolicyEntry.after`. */
  readonly after: readonly string[];
  readonly to?: string;
  readonly inPlace: boolean;
  readonly overwrite: boolean;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Where the snapshot is taken from; absent: the first that has it. */
  readonly repository?: string;
  readonly timeoutMs?: number;
}

/** Somebody who is told. */
export type ChannelEntry = ChannelPlan;

export interface WorkspaceEntry {
  readonly name: string;
  readonly title: string;
}

export interface UserEntry {
  readonly name: string;
  readonly email?: string;
  /** Role by workspace; `*` is everywhere. */
  readonly roles: ReadonlyMap<string, Role>;
}
