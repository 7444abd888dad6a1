/**
 * Passwords at rest: argon2id (RFC 9106) in PHC form, `$argon2id$v=19$m=…,t=…,p=…$salt$tag`.
 * One hash takes 46 MiB and about a tenth of a second on a small server; two at once at the most, outside the event loop.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Semaphore } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';

/** m in KiB, t passes, p lanes: above what OWASP asks for (19 MiB, 2, 1). What was hashed with others is hashed anew at sign-in. */
export const passwordCost = { m: 47_104, t: 2, p: 1 } as const;
const saltBytes = 16;
const tagBytes = 32;
/** Of somebody with access to the catalogue: a hash must not be able to eat the memory of the server. */
const most = { m: 1 << 20, t: 64, p: 16 };

const derive = promisify(argon2);
const turns = new Semaphore(2);
/** Who would be later than this in the queue is sent away: with the limits on attempts, only an attack gets here. */
const longestQueue = 50;
let queued = 0;

interface Cost {
  readonly m: number;
  readonly t: number;
  readonly p: number;
}

/** The PHC string of a password, with a salt of its own. `auth.limited` when very many wait for theirs. */
export async function hashPassword(password: Secret): Promise<string> {
  const salt = randomBytes(saltBytes);
  const tag = await tagOf(password, salt, passwordCost);
  const { m, t, p } = passwordCost;
  return `$argon2id$v=19$m=${m},t=${t},p=${p}$${unpadded(salt)}$${unpadded(tag)}`;
}

/**
 * Whether it is the password of a hash; without a hash the answer is no, after the same work. `outdated`: it is right, and
 * should be hashed again with what is usual today.
 */
export async function verifyPassword(
  password: Secret,
  phc: string | null | undefined,
): Promise<{ readonly right: boolean; readonly outdated: boolean }> {
  const known = phc === null || phc === undefined ? undefined : parse(phc);
  const { salt, tag, cost } = known ?? { salt: noSalt, tag: noTag, cost: passwordCost };
  const found = await tagOf(password, salt, cost, tag.length);
  const right = timingSafeEqual(found, tag) && known !== undefined;
  const { m, t, p } = passwordCost;
  return { right, outdated: right && (cost.m !== m || cost.t !== t || cost.p !== p) };
}

const noSalt = Buffer.alloc(saltBytes);
const noTag = Buffer.alloc(tagBytes);

async function tagOf(password: Secret, nonce: Buffer, cost: Cost, tagLength: number = tagBytes): Promise<Buffer> {
  if (queued >= longestQueue) {
    throw new HoldfastError({
      code: 'auth.limited',
      message: 'too many people sign in at this moment',
      remedy: 'Try again in a minute.',
      retry: 'later',
      context: { retryAfterSeconds: 60 },
    });
  }
  queued++;
  try {
    await turns.acquire();
    try {
      // The same letter can be written in two ways (composed or not), and keyboards differ in which they send.
      const message = password.reveal().normalize('NFKC');
      const { m: memory, t: passes, p: parallelism } = cost;
      return await derive('argon2id', { message, nonce, memory, passes, parallelism, tagLength });
    } finally {
      turns.release();
    }
  } finally {
    queued--;
  }
}

/** `undefined` for what is no hash of ours, or asks for more than any of ours: nobody signs in with it. */
function parse(phc: string): { salt: Buffer; tag: Buffer; cost: Cost } | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([\w+/]{11,64})\$([\w+/]{22,86})$/.exec(phc);
  if (!match) return undefined;
  const cost = { m: Number(match[1]), t: Number(match[2]), p: Number(match[3]) };
  if (cost.m > most.m || cost.t > most.t || cost.p > most.p || cost.p < 1 || cost.t < 1 || cost.m < 8 * cost.p) {
    return undefined;
  }
  return { salt: Buffer.from(match[4], 'base64'), tag: Buffer.from(match[5], 'base64'), cost };
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
