/**
 * Says who we are: HTTP's Basic (RFC 7617) and Digest (RFC 7616: MD5 and SHA-256, with `auth` or, of old servers, without
 * quality). Which of them is what the server asks for; Digest where it takes both, since it does not show the password.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Secret } from '../../base/secrets.ts';

export interface SignIn {
  readonly user?: string;
  readonly password?: Secret;
  readonly auth: 'auto' | 'basic' | 'digest';
}

interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque?: string;
  readonly hash: 'md5' | 'sha256';
  readonly algorithm?: string;
  readonly quality: boolean;
}

type Challenge = 'basic' | DigestChallenge;

export class Authorizer {
  readonly #signIn: SignIn;
  #challenge: Challenge | undefined;
  #count = 0;

  constructor(signIn: SignIn) {
    this.#signIn = signIn;
    if (signIn.auth === 'basic') this.#challenge = 'basic';
  }

  /** `undefined` as long as nobody asked, or if there is no user. */
  header(method: string, path: string): string | undefined {
    const { user, password } = this.#signIn;
    if (user === undefined || this.#challenge === undefined) return undefined;
    const secret = password?.reveal() ?? '';
    if (this.#challenge === 'basic') return `Basic ${Buffer.from(`${user}:${secret}`, 'utf8').toString('base64')}`;
    this.#count++;
    return digestOf(this.#challenge, { user, secret, method, path, count: this.#count });
  }

  /** Takes the server's `WWW-Authenticate`; true if the request is worth sending again, with what `header` says then. */
  learn(asked: string | undefined, sent: string | undefined): boolean {
    const { user, auth } = this.#signIn;
    if (user === undefined || asked === undefined) return false;
    const challenges = challengesIn(asked);
    const digest = auth === 'basic' ? undefined : challenges.find((one) => one !== 'basic');
    const chosen = digest ?? (auth !== 'digest' && challenges.includes('basic') ? 'basic' : undefined);
    if (chosen === undefined) return false;
    // The same again would be refused again; a new nonce would not.
    const known = this.#challenge;
    const refused = sent !== undefined && (chosen === 'basic' ? sent.startsWith('Basic ') : !isStale(asked));
    const others = typeof known === 'object' && sent !== undefined && !sent.includes(`nonce="${known.nonce}"`);
    if (others) return true; // another request learned a newer one meanwhile
    if (refused) return false;
    this.#challenge = chosen;
    this.#count = 0;
    return true;
  }
}

function isStale(asked: string): boolean {
  return /\bstale\s*=\s*"?true/i.test(asked);
}

/** Several may stand in one header, each a scheme and its parameters. */
export function challengesIn(header: string): Challenge[] {
  const starts = [...header.matchAll(/(?:^|,)\s*(basic|digest)\s+(?=[a-z-]+\s*=)/gi)];
  return starts.flatMap((start, at): Challenge[] => {
    if (start[1].toLowerCase() === 'basic') return ['basic'];
    const own = header.slice(start.index + start[0].length, starts[at + 1]?.index);
    const digest = digestChallenge(parametersIn(own));
    return digest ? [digest] : [];
  });
}

function parametersIn(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const match of text.matchAll(/([a-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)) {
    found.set(match[1].toLowerCase(), match[3] ?? match[2].replace(/\\(.)/g, '$1'));
  }
  return found;
}

function digestChallenge(given: ReadonlyMap<string, string>): DigestChallenge | undefined {
  const algorithm = given.get('algorithm');
  const hash = { md5: 'md5', 'sha-256': 'sha256' }[(algorithm ?? 'md5').toLowerCase()] as 'md5' | 'sha256' | undefined;
  const [realm, nonce, qop] = ['realm', 'nonce', 'qop'].map((name) => given.get(name));
  if (realm === undefined || nonce === undefined || hash === undefined) return undefined;
  const quality = qop?.split(',').some((one) => one.trim().toLowerCase() === 'auth') ?? false;
  if (qop !== undefined && !quality) return undefined;
  return { realm, nonce, opaque: given.get('opaque'), hash, algorithm, quality };
}

interface DigestRequest {
  readonly user: string;
  readonly secret: string;
  readonly method: string;
  readonly path: string;
  readonly count: number;
}

function digestOf(
  { realm, nonce, opaque, hash, algorithm, quality }: DigestChallenge,
  { user, secret, method, path, count }: DigestRequest,
): string {
  const sum = (text: string): string => createHash(hash).update(text, 'utf8').digest('hex');
  const [who, what] = [sum(`${user}:${realm}:${secret}`), sum(`${method}:${path}`)];
  const times = count.toString(16).padStart(8, '0');
  const own = randomBytes(16).toString('hex');
  const response = sum(quality ? `${who}:${nonce}:${times}:${own}:auth:${what}` : `${who}:${nonce}:${what}`);
  const quoted = Object.entries({ username: user, realm, nonce, uri: path, response, opaque })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${String(value).replace(/["\\]/g, '\\$&')}"`);
  const plain = [
    ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
    ...(quality ? ['qop=auth', `nc=${times}`, `cnonce="${own}"`] : []),
  ];
  return `Digest ${[...quoted, ...plain].join(', ')}`;
}
