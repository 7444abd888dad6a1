/** What the API is put together from; the daemon makes these. */

import type { Credentials, OidcProvider, Sealing } from '../auth/index.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { CatalogueAccess, Execution, SourceAccess } from '../operations/operation.ts';

/** What is known of a request before anybody is recognised. */
export interface RequestFacts {
  readonly method: string;
  readonly path: string;
  /** Of who asks: the last one that a trusted proxy did not add itself. */
  readonly address: string;
  readonly userAgent: string;
  /** It came over TLS, as far as we or a trusted proxy can tell. */
  readonly secure: boolean;
  /** Scheme, host and port people reach this server at. */
  readonly origin: string;
  /** What it brings to be recognised by. */
  readonly credentials: Credentials;
  /** The header `Cookie`. */
  readonly cookie?: string;
}

/** Everything operations use here. */
export type ApiUses = SourceAccess & Execution & CatalogueAccess;

/** What a probe is told: `ready` is false while the server starts, stops, or cannot do its work. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly message?: string }>>;
}

export interface ApiParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly catalogue: Catalogue;
  /** The configuration as it is now, and what belongs to it. */
  access(): SourceAccess;
  /** Seals what has to be read again, with the server's key. */
  readonly sealing: Sealing;
  /** The provider of identities, if one is configured now. */
  oidc(): OidcProvider | undefined;
  readiness(): Promise<Readiness>;
  /** Prometheus' text format. */
  renderMetrics(uses: ApiUses): Promise<string>;
  /** Aborted when the server stops: streams end, requests that take long are cancelled. */
  readonly stopping: AbortSignal;
  /** Read anew for each request: they follow the configuration. */
  readonly settings: ApiSettings;
}

export interface ApiSettings {
  /** As people reach it; what the request says if it is absent. */
  readonly url?: string;
  /** Addresses or networks (`10.0.0.0/8`) whose X-Forwarded-… headers are believed. */
  readonly trustedProxies: readonly string[];
  /** `/metrics` needs no token. */
  readonly openMetrics: boolean;
  /** The largest body of a request, in bytes. */
  readonly mostBodyBytes: number;
}
