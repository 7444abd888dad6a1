/**
 * Requests to one bucket: addressed, signed, sent, and tried again as long as that can help. With `region: auto` the region
 * is learned from the first refusal that names it.
 */
import type { Clock } from '../../base/clock.ts';
import type { HttpConnections, HttpReply, HttpReplyHead } from '../../protocols/http/exchange.ts';
import { defaultRetryPolicy, type RetryPolicy, withRetries } from '../retry.ts';
import type { CredentialSource } from './credentials.ts';
import { escapePath, escapeText, isAmazon, regionOfHost, type S3Location } from './location.ts';
import { type ServiceError, serviceErrorOf } from './replies.ts';
import { type Asking, errorOfExchange, errorOfReply, regionOf } from './s3-errors.ts';
import { type BodyHashes, hashBody, sign } from './signer.ts';

export interface S3Request {
  /** Completes «cannot …» in errors. */
  readonly doing: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The whole key, with the prefix; without: the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** Of the body in hex, if it is known. */
  readonly sha256?: string;
  /** Of the body, where the service wants it. */
  readonly md5?: boolean;
  readonly room?: (head: HttpReplyHead) => Uint8Array | undefined;
  readonly signal?: AbortSignal;
  /** When it is aborted after it was sent, the answer is awaited all the same: it stores something. */
  readonly decisive?: boolean;
  /** Sent even after the storage was told to end, and not tried for long: it tidies up. */
  readonly regardless?: boolean;
  /** Refusals the caller understands: they are returned, not thrown. */
  readonly accept?: readonly number[];
  /** Throws if an accepted answer cannot be used; asked within the tries, so that it may come right. */
  readonly check?: (reply: S3Reply) => unknown;
}

export interface S3Reply extends HttpReply {
  /** What an error said, if the reply is one; also with status 200. */
  readonly said?: ServiceError;
  /** True if an earlier try of this request may have been carried out although no answer came. */
  readonly repeated: boolean;
}

export interface S3ServiceOptions {
  readonly location: S3Location;
  /** The URL for messages. */
  readonly shown: string;
  /** `auto`: learned. */
  readonly region: string;
  /** To begin with, where it is learned. */
  readonly likelyRegion?: string;
  readonly pathStyle?: boolean;
  readonly connections: HttpConnections;
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  /** The storage's own end. */
  readonly signal: AbortSignal;
  readonly policy?: RetryPolicy;
}

/** The region of services that have none. */
const anyRegion = 'us-east-1';

const tidyPolicy: RetryPolicy = { ...defaultRetryPolicy, attempts: 3, withinMs: 10_000 };

interface Prepared {
  readonly request: S3Request;
  readonly bodyHash: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

export class S3Service {
  readonly shown: string;
  readonly location: S3Location;
  readonly #options: S3ServiceOptions;
  readonly #learns: boolean;
  #region: string;

  constructor(options: S3ServiceOptions) {
    this.#options = options;
    this.shown = options.shown;
    this.location = options.location;
    this.#learns = options.region === 'auto';
    this.#region = this.#learns
      ? (regionOfHost(options.location.host) ?? options.likelyRegion ?? anyRegion)
      : options.region;
  }

  /** The region requests are signed for by now. */
  get region(): string {
    return this.#region;
  }

  /** The reply with a status of 2xx, or one of `accept`; anything else is thrown as an error of `storage.*`. */
  async send(request: S3Request): Promise<S3Reply> {
    const { clock } = this.#options;
    const policy = request.regardless ? tidyPolicy : this.#options.policy;
    const signal = this.#signalOf(request);
    const { sha256, md5 = false } = request;
    // What is known is not taken again: at 500 MB/s it would be a fifth of what sending costs.
    const known = sha256 !== undefined && !md5;
    const hashes: BodyHashes = known ? { sha256 } : await hashBody(request.body ?? [], { md5, signal });
    const headers = hashes.md5 === undefined ? request.headers : { ...request.headers, 'content-md5': hashes.md5 };
    const prepared: Prepared = { request, bodyHash: hashes.sha256, headers: headers ?? {}, signal };
    return await withRetries(
      async (attempt) => {
        const reply = await this.#corrected(prepared);
        if (!this.#accepts(reply, request)) {
          throw errorOfReply(reply, reply.said, this.#asking(request), clock.nowMs());
        }
        const accepted = { ...reply, repeated: attempt > 0 };
        request.check?.(accepted);
        return accepted;
      },
      { clock, signal, policy },
    );
  }

  #signalOf({ signal, regardless }: S3Request): AbortSignal | undefined {
    const own = this.#options.signal;
    if (regardless) return undefined;
    return signal ? AbortSignal.any([signal, own]) : own;
  }

  #accepts(reply: HttpReply & { said?: ServiceError }, { accept = [] }: S3Request): boolean {
    if (accept.includes(reply.status)) return true;
    return reply.status >= 200 && reply.status < 300 && reply.said === undefined;
  }

  /** One try, and a second one at once if the first shows that the region or the temporary keys were not the right ones. */
  async #corrected(prepared: Prepared): Promise<HttpReply & { said?: ServiceError }> {
    const region = this.#region;
    const { reply, stale } = await this.#once(prepared);
    if (this.#learns) {
      const named = regionOf(reply, reply.said, region);
      if (named !== undefined) {
        this.#region = named;
        return (await this.#once(prepared)).reply;
      }
    }
    return stale ? (await this.#once(prepared)).reply : reply;
  }

  async #once({ request, bodyHash, headers, signal }: Prepared) {
    const { connections, credentials: source, clock } = this.#options;
    const credentials = await source.current();
    const target = this.#target(request);
    const unsigned = { method: request.method, headers, ...target };
    const signing = { credentials, region: this.#region, service: 's3', nowMs: clock.nowMs(), bodyHash } as const;
    const signed = await sign(unsigned, signing);
    const reply = await connections
      .exchange({
        method: request.method,
        protocol: target.protocol,
        host: target.host,
        path: withQuery(target.path, target.query),
        headers: signed,
        body: request.body,
        room: request.room,
        signal,
        decisive: request.decisive,
      })
      .catch((error: unknown) => {
        throw errorOfExchange(error, this.#asking(request));
      });
    const judged = { ...reply, said: isSuspect(reply) ? serviceErrorOf(reply.body) : undefined };
    const over = ['ExpiredToken', 'TokenRefreshRequired'].includes(judged.said?.code ?? '');
    return { reply: judged, stale: over && source.renew(credentials) };
  }

  #target({ key, query = {} }: S3Request) {
    const { location, pathStyle } = this.#options;
    const { protocol, bucket } = location;
    const host = this.#host();
    const inHost = pathStyle === undefined ? isAmazon(host) && isHostLabel(bucket) : !pathStyle;
    const path = key === undefined ? '' : escapePath(key);
    return inHost
      ? { protocol, query, host: `${bucket}.${host}`, path: `/${path}` }
      : { protocol, query, host, path: key === undefined ? `/${bucket}` : `/${bucket}/${path}` };
  }

  /** Amazon's general endpoint answers for buckets of any region only by sending on to the region's own. */
  #host(): string {
    const { host } = this.#options.location;
    return host === 's3.amazonaws.com' && this.#region !== anyRegion ? `s3.${this.#region}.amazonaws.com` : host;
  }

  #asking({ doing }: S3Request): Asking {
    return { doing, location: this.shown, bucket: this.location.bucket, region: this.#region };
  }
}

/** Some requests answer 200 and say later, in the body, that they failed. */
function isSuspect({ status, headers, body }: HttpReply): boolean {
  return status >= 300 || (body.byteLength < 65_536 && /xml/.test(headers['content-type'] ?? ''));
}

/** Names with dots, or such that hosts do not have, cannot stand before the endpoint's name: its certificate would not fit. */
function isHostLabel(bucket: string): boolean {
  return /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket);
}

function withQuery(path: string, query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${escapeText(name)}=${escapeText(value)}`);
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
}
