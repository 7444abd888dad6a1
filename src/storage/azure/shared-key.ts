/** Signs requests with an account's key: Shared Key of the Blob service (Microsoft: «Authorize with Shared Key», 2009-09-19 and later). */
import { createHmac } from 'node:crypto';
import type { Secret } from '../../base/secrets.ts';
import type { ServiceRequest } from '../http-service.ts';

export interface AccountKey {
  readonly account: string;
  /** In base64. */
  readonly key: Secret;
}

/** What `Authorization` has to be. `headers` are all that are sent and begin with `x-ms-`, or stand in the signature. */
export function authorizationOf(
  { account, key }: AccountKey,
  request: ServiceRequest,
  headers: Readonly<Record<string, string>>,
): string {
  const text = textToSign(account, request, headers);
  const signature = createHmac('sha256', Buffer.from(key.reveal(), 'base64')).update(text, 'utf8').digest('base64');
  return `SharedKey ${account}:${signature}`;
}

const signedHeaders = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
];

export function textToSign(
  account: string,
  { method, path, query = {}, body = [] }: Pick<ServiceRequest, 'method' | 'path' | 'query' | 'body'>,
  headers: Readonly<Record<string, string>>,
): string {
  const length = body.reduce((sum, part) => sum + part.byteLength, 0);
  const all: Readonly<Record<string, string>> = { ...headers, 'content-length': length === 0 ? '' : String(length) };
  const own = Object.keys(all)
    .filter((name) => name.startsWith('x-ms-'))
    .sort(byText)
    .map((name) => `${name}:${all[name].trim()}`);
  const asked = Object.keys(query)
    .sort(byText)
    .map((name) => `${name.toLowerCase()}:${query[name]}`);
  return [
    method,
    ...signedHeaders.map((name) => all[name] ?? ''),
    ...own,
    [`/${account}${path}`, ...asked].join('\n'),
  ].join('\n');
}

function byText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
