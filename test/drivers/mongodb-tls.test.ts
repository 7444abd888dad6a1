/** MongoDB over TLS: a terminator that wants a certificate of ours before the stand-in for a server. */
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { seedMongo } from '../servers/mongo-data.ts';
import { MongoStandIn } from '../servers/mongo-stand-in.ts';
import { makeCertificates } from '../servers/smtp.ts';
import { type MongoBench, openBench, sourceAt } from './mongodb-bench.ts';

let bench: MongoBench;
let server: MongoStandIn;
let files: ReturnType<typeof makeCertificates> & { own: string };
let url: string;
const secured = createServer({ requestCert: true, rejectUnauthorized: true }, (near: TLSSocket) => {
  const far = connect(server.port, '127.0.0.1');
  near.pipe(far).pipe(near);
  near.on('error', () => far.destroy()).on('close', () => far.destroy());
  far.on('error', () => near.destroy()).on('close', () => near.destroy());
});

beforeAll(async () => {
  bench = await openBench();
  server = await MongoStandIn.start({});
  seedMongo(server);
  const made = makeCertificates();
  files = { ...made, own: join(made.folder, 'own.pem') };
  const [ca, cert, key] = [made.ca, made.cert, made.key].map((file) => readFileSync(file));
  writeFileSync(files.own, Buffer.concat([cert, key]));
  secured.setSecureContext({ ca, cert, key });
  secured.listen(0, '127.0.0.1');
  await once(secured, 'listening');
  url = `mongodb://127.0.0.1:${(secured.address() as AddressInfo).port}/?tls=true`;
});
afterAll(async () => {
  secured.close();
  await server[Symbol.asyncDispose]();
  rmSync(files.folder, { recursive: true });
  await bench[Symbol.asyncDispose]();
});

it('is backed up over TLS with a certificate of ours, by address and by name', async () => {
  for (const name of [{}, { serverName: 'mail.example' }]) {
    const tls = { ca: files.ca, certificateKey: files.own, ...name };
    // Of what the stand-in says of itself, the address is the one without TLS.
    const source = sourceAt({ url, tls, readPreference: 'primary' });
    await using stored = await (await bench.bench.backUp(source)).open();
    expect(stored.contents.id).toMatch(/^[0-9a-f]{64}$/);
  }
});

it('refuses a server whose certificate nobody vouches for, or is of another name, and says what to check', async () => {
  const refused = { code: 'host.unreachable', remedy: expect.stringContaining('tls.ca') };
  const others = [{}, { ca: files.ca, serverName: 'other' }];
  const tries = others.map((tls) => mongodb.capture(sourceAt({ url, tls: { certificateKey: files.own, ...tls } })));
  await Promise.all(tries.map((one) => expect(one).rejects.toMatchObject(refused)));
});

it('names the setting whose file cannot be read', async () => {
  for (const [setting, remedy] of [
    ['ca', 'tls.ca'],
    ['certificateKey', 'tls.certificateKey'],
  ] as const) {
    const failed = mongodb.capture(sourceAt({ url, tls: { [setting]: join(files.folder, 'missing.pem') } }));
    const expected = { code: 'config.invalid', remedy: expect.stringContaining(remedy) };
    await expect(failed).rejects.toMatchObject(expected);
  }
});
