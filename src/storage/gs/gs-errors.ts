/** What Cloud Storage refuses, as errors an operator can act on. Never holds a token. */
import { z } from 'zod';
import type { HoldfastError } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { type Asking, type Meaning, meaningOfStatus, refusalOf } from '../http-faults.ts';

const errorForm = z.object({
  error: z.object({
    message: z.string().default(''),
    errors: z.array(z.object({ reason: z.string().optional() })).default([]),
  }),
});

const denied: Meaning = {
  code: 'storage.denied',
  remedy:
    'Give this account the role Storage Object Admin (roles/storage.objectAdmin) on the bucket; to make a bucket, storage.buckets.create on the project.',
};
const meanings: Readonly<Record<number, Meaning>> = {
  401: {
    code: 'storage.denied',
    remedy: 'Check gs.credentials: the service does not accept them; and this machine’s clock.',
  },
  403: denied,
  404: {
    code: 'storage.not-found',
    remedy: 'Check the bucket’s name. A new bucket is made by holdfast repo init (gs.project).',
  },
};
const kept: Meaning = {
  code: 'storage.denied',
  remedy: 'A retention policy or a hold keeps it: it can be removed or replaced when that ends.',
};
const busy: Meaning = { ...meaningOfStatus(503, 'gs'), retry: 'later' };

/** By the service's own reason. */
const reasons: Readonly<Record<string, Meaning>> = {
  retentionPolicyNotMet: kept,
  objectUnderActiveHold: kept,
  rateLimitExceeded: busy,
  userRateLimitExceeded: busy,
  quotaExceeded: { code: 'storage.full', remedy: 'Raise the quota of the project, then run it again.' },
  accountDisabled: { code: 'storage.denied', remedy: 'Billing of the project is off: see the console.' },
};

export function refusal(reply: HttpReply, asking: Asking, nowMs: number): HoldfastError {
  const said = saidBy(reply);
  const reason = said?.errors.map((one) => one.reason ?? '').find((one) => one in reasons);
  const known = reason === undefined ? undefined : reasons[reason];
  const meaning = known ?? meanings[reply.status] ?? meaningOfStatus(reply.status, 'gs');
  return refusalOf(reply, meaning, said?.message ?? '', asking, nowMs);
}

function saidBy({ body }: HttpReply) {
  try {
    return errorForm.parse(JSON.parse(Buffer.from(body.subarray(0, 65_536)).toString('utf8'))).error;
  } catch {
    return undefined; // of a proxy
  }
}
