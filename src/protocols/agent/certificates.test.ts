import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, type PeerCertificate } from 'node:tls';
import { expect, test } from 'vitest';
import {
  type Credentials,
  certificateMs,
  fingerprintOf,
  isIssuedBy,
  issueAgentCertificate,
  issueServerCertificate,
  isToBeRenewed,
  keyHashOf,
  makeAuthority,
  makeRequest,
  newKey,
  validityOf,
} from './certificates.ts';
import { formatToken, parseToken, splitAddress } from './enrolment-token.ts';

const nowMs = Date.now();

async function agentCredentials(authority: Credentials): Promise<Credentials> {
  const key = await newKey();
  const request = await makeRequest(key);
  return { key, certificate: await issueAgentCertificate(authority, { request, name: 'far', nowMs }) };
}

/** What the server saw of the client, or why the client refused. */
async function handshake(
  server: Credentials,
  options: ConnectionOptions,
): Promise<{ authorized: boolean; name?: string }> {
  const listener = createServer({
    key: server.key,
    cert: server.certificate,
    ca: options.ca as string,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise((resolve, reject) => {
      listener.on('secureConnection', (socket) => {
        const peer = socket.getPeerCertificate() as PeerCertificate | Record<string, never>;
        resolve({ authorized: socket.authorized, name: peer.subject?.CN as string | undefined });
      });
      const client = connect({ host: '127.0.0.1', port: (listener.address() as AddressInfo).port, ...options });
      client.on('error', reject);
      listener.on('close', () => client.destroy());
    });
  } finally {
    listener.closeAllConnections();
    listener.close();
  }
}

test('TLS takes the certificates of one authority on both sides, and the server sees who the agent is', async () => {
  const authority = await makeAuthority(nowMs);
  const server = await issueServerCertificate(authority, ['127.0.0.1', 'backup.example'], nowMs);
  const agent = await agentCredentials(authority);
  const seen = await handshake(server, { ca: authority.certificate, key: agent.key, cert: agent.certificate });
  expect(seen).toEqual({ authorized: true, name: 'far' });
});

test('a server of another authority, of another name, or with the certificate of an agent is refused', async () => {
  const authority = await makeAuthority(nowMs);
  const ca = authority.certificate;
  const agent = await agentCredentials(authority);
  const strange = await issueServerCertificate(await makeAuthority(nowMs), ['127.0.0.1'], nowMs);
  const misnamed = await issueServerCertificate(authority, ['other.example'], nowMs);
  await expect(handshake(strange, { ca })).rejects.toThrow();
  await expect(handshake(misnamed, { ca })).rejects.toThrow(/altnames/);
  await expect(handshake(agent, { ca, checkServerIdentity: () => undefined })).rejects.toThrow(/unsuitable/);
});

test('the certificate of an agent of another authority is not taken for one of this', async () => {
  const [authority, other] = [await makeAuthority(nowMs), await makeAuthority(nowMs)];
  const agent = await agentCredentials(other);
  expect(isIssuedBy(agent.certificate, other.certificate)).toBe(true);
  expect(isIssuedBy(agent.certificate, authority.certificate)).toBe(false);
});

test('a renewed certificate has the same key and another end', async () => {
  const authority = await makeAuthority(nowMs);
  const key = await newKey();
  const request = await makeRequest(key);
  const first = await issueAgentCertificate(authority, { request, name: 'far', nowMs: nowMs - certificateMs });
  const second = await issueAgentCertificate(authority, { request, name: 'far', nowMs });
  expect(keyHashOf(second)).toBe(keyHashOf(first));
  expect(fingerprintOf(second)).not.toBe(fingerprintOf(first));
  expect([isToBeRenewed(first, nowMs), isToBeRenewed(second, nowMs)]).toEqual([true, false]);
  expect(validityOf(second).untilMs).toBe(Math.floor((nowMs + certificateMs) / 1000) * 1000);
});

test('a request that somebody changed, or that is none, gives no certificate', async () => {
  const authority = await makeAuthority(nowMs);
  const request = await makeRequest(await newKey());
  const body = Buffer.from(request.replace(/-----.*?-----|\s/g, ''), 'base64');
  body[body.length - 5] ^= 1;
  const changed = `-----BEGIN CERTIFICATE REQUEST-----\n${body.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
  for (const wrong of [changed, 'none', authority.certificate]) {
    await expect(issueAgentCertificate(authority, { request: wrong, name: 'far', nowMs })).rejects.toMatchObject({
      code: 'agent.refused',
    });
  }
});

test('a token is read as it was written, and half a token is refused without being repeated', () => {
  const token = { address: '[::1]:8322', fingerprint: 'a'.repeat(64), name: 'far', secret: 's'.repeat(43) };
  const text = formatToken(token);
  expect(parseToken(` ${text}\n`)).toEqual(token);
  expect(splitAddress(token.address)).toEqual({ host: '::1', port: 8322 });
  for (const wrong of [text.slice(0, -20), text.slice(2), '', 'hfagent1.e30']) {
    expect(() => parseToken(wrong)).toThrow(/not an enrolment token/);
  }
});
