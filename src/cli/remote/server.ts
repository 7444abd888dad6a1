/** A server that is asked over HTTP instead of doing things here. */
import type { Clock } from '../../base/clock.ts';
import { type ErrorCode, errorCatalogue, HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { programVersion } from '../../base/version.ts';

export interface ServerParts {
  readonly url: string;
  readonly token: () => Promise<Secret>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Asking {
  readonly method?: string;
  readonly body?: unknown;
  readonly accept?: string;
  /** Without the token: the address itself lets in. */
  readonly open?: boolean;
  /** Instead of the signal of the command. */
  readonly signal?: AbortSignal;
}

export class RemoteServer {
  readonly url: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly #token: () => Promise<Secret>;

  /** `usage.invalid` if `url` is none. */
  constructor({ url, token, clock, signal }: ServerParts) {
    if (!/^https?:\/\/[^/?#@]+\/?$/.test(url) || !URL.canParse(url)) throw noAddress(url);
    this.url = url.replace(/\/$/, '');
    this.#token = token;
    this.clock = clock;
    this.signal = signal;
  }

  /** True for a token that would travel unencrypted through a network. */
  get isInTheClear(): boolean {
    const { protocol, hostname } = new URL(this.url);
    return protocol === 'http:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  }

  /** The answer, if it is a good one. What the server refuses is thrown as the error it says; `host.unreachable`. */
  async ask(
    path: string,
    { method = 'GET', body, accept, open = false, signal = this.signal }: Asking = {},
  ): Promise<Response> {
    const headers = {
      'user-agent': `holdfast/${programVersion}`,
      ...(open ? {} : { authorization: `Bearer ${(await this.#token()).reveal()}` }),
      ...(accept === undefined ? {} : { accept }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const init = { method, headers, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(`${this.url}${path}`, init).catch((error: unknown) => {
      throwIfCancelled(signal);
      throw unreachable(this.url, error);
    });
    if (response.ok) return response;
    throw await refusal(this.url, response);
  }

  async json<Document>(path: string, asking: Asking = {}): Promise<Document> {
    return (await (await this.ask(path, asking)).json()) as Document;
  }
}

/** What stands before an @ may be a password: it is not repeated. */
function noAddress(url: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: url.includes('@')
      ? 'the address of a server has no user and no password in it'
      : `«${url}» is no address of a server`,
    remedy: 'Write it like https://backup.example or http://127.0.0.1:8321; a token goes into HOLDFAST_TOKEN.',
  });
}

export function unreachable(url: string, error: unknown): HoldfastError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new HoldfastError({
    code: 'host.unreachable',
    message: `the server ${url} did not answer: ${messageOf(cause)}`,
    remedy: 'Check --server, and that the server runs: curl its /health.',
    retry: 'later',
    cause: error,
  });
}

async function refusal(url: string, response: Response): Promise<HoldfastError> {
  const text = await response.text();
  const { code, detail, remedy } = problemIn(text) ?? {};
  if (code === undefined || detail === undefined) {
    return new HoldfastError({
      code: 'host.unreachable',
      message: `${url} answered ${response.status}, but not as a Holdfast server does`,
      remedy: 'Check --server, and what stands before the server.',
    });
  }
  const known = Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : 'internal';
  return new HoldfastError({ code: known, message: detail, remedy: remedy ?? '' });
}

function problemIn(text: string): { code?: string; detail?: string; remedy?: string } | undefined {
  try {
    return JSON.parse(text) as { code?: string };
  } catch {
    return undefined;
  }
}
