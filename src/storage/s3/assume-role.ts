/** Temporary keys of a role, from Amazon's Security Token Service or one that speaks like it (AssumeRole, 2011-06-15). */
import { createHash } from 'node:crypto';
import { parseInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { HttpConnections, HttpReply } from '../../protocols/http/exchange.ts';
import { withRetries } from '../retry.ts';
import type { StorageTools } from '../storage.ts';
import { escapeText } from './location.ts';
import { serviceErrorOf, textOf } from './replies.ts';
import { type Asking, errorOfExchange, errorOfReply } from './s3-errors.ts';
import type { S3Settings } from './settings.ts';
import { type Credentials, sign } from './signer.ts';

type Role = Pick<S3Settings, 'region' | 'roleExternalId' | 'stsEndpoint'> & { readonly roleArn: string };

interface With {
  readonly credentials: Credentials;
  readonly connections: HttpConnections;
  readonly tools: StorageTools;
}

/** Keys for an hour. `storage.denied` if the role may not be assumed. */
export async function assumeRole(role: Role, given: With): Promise<Credentials> {
  const { clock, signal } = given.tools;
  return await withRetries(() => assumeOnce(role, given), { clock, signal });
}

async function assumeOnce(role: Role, { credentials, connections, tools }: With): Promise<Credentials> {
  const { endpoint, region } = placeOf(role);
  const asking: Asking = { doing: `assume the role ${role.roleArn}`, location: endpoint.host, bucket: '', region };
  const body = Buffer.from(formOf(role), 'utf8');
  const request = {
    method: 'POST',
    protocol: endpoint.protocol === 'http:' ? 'http:' : 'https:',
    host: endpoint.host,
    path: endpoint.pathname,
    query: {},
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
  } as const;
  const nowMs = tools.clock.nowMs();
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const headers = await sign(request, { credentials, region, service: 'sts', nowMs, bodyHash });
  const exchange = { ...request, headers, body: [body], signal: tools.signal };
  const reply = await connections.exchange(exchange).catch((error: unknown) => {
    throw errorOfExchange(error, asking);
  });
  if (reply.status !== 200) throw errorOfReply(reply, serviceErrorOf(reply.body), asking, tools.clock.nowMs());
  return credentialsOf(reply, endpoint.host);
}

function placeOf({ stsEndpoint, region }: Role): { endpoint: URL; region: string } {
  const known = region === 'auto' ? undefined : region;
  const amazon = known === undefined ? 'https://sts.amazonaws.com/' : `https://sts.${known}.amazonaws.com/`;
  return { endpoint: new URL(stsEndpoint ?? amazon), region: known ?? 'us-east-1' };
}

function formOf({ roleArn, roleExternalId }: Role): string {
  const fields = {
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: roleArn,
    RoleSessionName: 'holdfast',
    DurationSeconds: '3600',
    ...(roleExternalId === undefined ? {} : { ExternalId: roleExternalId }),
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${escapeText(value)}`)
    .join('&');
}

function credentialsOf(reply: HttpReply, host: string): Credentials {
  const xml = Buffer.from(reply.body).toString('utf8');
  const [accessKeyId, secretAccessKey, sessionToken, until] = [
    'AccessKeyId',
    'SecretAccessKey',
    'SessionToken',
    'Expiration',
  ].map((name) => textOf(xml, name));
  const endMs = until === undefined ? undefined : parseInstant(until.replace(/\.\d+/, ''));
  if (accessKeyId === undefined || secretAccessKey === undefined || endMs === undefined) {
    throw new HoldfastError({
      code: 'storage.io',
      message: `${host} answered the wish for a role without keys`,
      remedy: 'Check s3.stsEndpoint: it must be a Security Token Service.',
    });
  }
  return { accessKeyId, secretAccessKey, sessionToken, expiration: { getTime: () => endMs } };
}
