/** What the Blob service refuses, as errors an operator can act on. Never holds a key or a signature. */
import type { HoldfastError } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { type Asking, type Meaning, meaningOfStatus, refusalOf } from '../http-faults.ts';
import { header } from '../http-service.ts';

const notLetIn: Meaning = {
  code: 'storage.denied',
  remedy:
    'Check azure.account and azure.accountKey (or azure.sas: its dates, and that it allows to read, write, list, create and delete), and this machine’s clock.',
};
const notAllowed: Meaning = {
  code: 'storage.denied',
  remedy:
    'The signature or the account’s network rules do not allow it: it needs read, write, list, create and delete.',
};
const noContainer: Meaning = {
  code: 'storage.not-found',
  remedy: 'Check the container’s name and the account. A new container is made by holdfast repo init.',
};
const kept: Meaning = {
  code: 'storage.denied',
  remedy: 'A policy of the container or a legal hold keeps it: it can be removed or replaced when that ends.',
};
const busy: Meaning = { ...meaningOfStatus(503, 'azure'), retry: 'later' };

/** By the service's own code. */
const meanings: Readonly<Record<string, Meaning>> = {
  AuthenticationFailed: notLetIn,
  InvalidAuthenticationInfo: notLetIn,
  NoAuthenticationInformation: notLetIn,
  AuthorizationFailure: {
    ...notLetIn,
    remedy: `${notLetIn.remedy} The account’s network rules may refuse this machine, too.`,
  },
  AuthorizationPermissionMismatch: notAllowed,
  AuthorizationServiceMismatch: notAllowed,
  AuthorizationResourceTypeMismatch: notAllowed,
  AuthorizationProtocolMismatch: notAllowed,
  AuthorizationSourceIPMismatch: notAllowed,
  AccountIsDisabled: { code: 'storage.denied', remedy: 'The account is disabled: see the portal.' },
  ContainerNotFound: noContainer,
  ContainerDisabled: noContainer,
  ContainerBeingDeleted: { ...busy, remedy: 'The container is being removed: wait, or take another name.' },
  BlobImmutableDueToPolicy: kept,
  BlobImmutableDueToLegalHold: kept,
  LeaseIdMissing: { ...kept, remedy: 'Somebody has a lease on it: end that lease.' },
  BlobArchived: {
    code: 'storage.io',
    remedy: 'It lies in the archive tier: bring it back to Hot, Cool or Cold first.',
  },
  ServerBusy: busy,
  OperationTimedOut: busy,
  InternalError: { ...busy, remedy: 'The service has a fault of its own: run it again later.' },
  Md5Mismatch: {
    code: 'storage.io',
    remedy: 'Bytes were changed on their way. If it happens again, check memory, network hardware, and proxies.',
    retry: 'now',
  },
  InsufficientAccountPermissions: notAllowed,
};

/** The service's own code for what went wrong. */
export function codeOf(reply: HttpReply): string | undefined {
  return header(reply, 'x-ms-error-code') ?? /<Code>([A-Za-z0-9]+)<\/Code>/.exec(textOf(reply))?.[1];
}

export function refusal(reply: HttpReply, asking: Asking, nowMs: number): HoldfastError {
  const code = codeOf(reply);
  const plain: Meaning = [401, 403].includes(reply.status) ? notLetIn : meaningOfStatus(reply.status, 'azure');
  const meaning = (code === undefined ? undefined : meanings[code]) ?? (reply.status === 404 ? noContainer : plain);
  // The first line: what follows repeats what was signed.
  const said = /<Message>([^<\n]*)/.exec(textOf(reply))?.[1];
  return refusalOf(reply, meaning, [code, said].filter((part) => part !== undefined).join(': '), asking, nowMs);
}

function textOf({ body }: HttpReply): string {
  return Buffer.from(body.subarray(0, 4000)).toString('utf8');
}
