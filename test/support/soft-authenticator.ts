/** A passkey made of nothing but node:crypto: ES256, attestation `none`, as an authenticator and its browser would answer. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

const presentAndVerified = 0x05;
const attested = 0x40;

export interface Passkey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: Buffer;
  userHandle?: string;
  counter: number;
}

export function newPasskey(): Passkey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  // COSE (RFC 9052): {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
  const cose = Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    Buffer.from(x!, 'base64url'),
    Buffer.from('225820', 'hex'),
    Buffer.from(y!, 'base64url'),
  ]);
  return { id: randomBytes(32).toString('base64url'), privateKey, publicKey: cose, counter: 0 };
}

export interface Faults {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly flags?: number;
  readonly userHandle?: string;
}

/** What `navigator.credentials.create` gives. */
export function register(passkey: Passkey, options: object, origin: string, faults: Faults = {}) {
  const asked = options as { challenge: string; rp: { id: string }; user: { id: string } };
  passkey.userHandle = asked.user.id;
  const id = Buffer.from(passkey.id, 'base64url');
  const flags = (faults.flags ?? presentAndVerified) | attested;
  const data = authenticatorData(faults.rpId ?? asked.rp.id, flags, passkey.counter);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(id.byteLength);
  const authData = Buffer.concat([data, Buffer.alloc(16), length, id, passkey.publicKey]);
  // CBOR: {"fmt": "none", "attStmt": {}, "authData": bytes}
  const head = Buffer.from(`a363666d74646e6f6e656761747453746d74a068${Buffer.from('authData').toString('hex')}`, 'hex');
  const size = Buffer.from([0x59, authData.byteLength >> 8, authData.byteLength & 0xff]);
  return {
    ...answer(passkey),
    response: {
      clientDataJSON: clientData('webauthn.create', faults.challenge ?? asked.challenge, faults.origin ?? origin),
      attestationObject: Buffer.concat([head, size, authData]).toString('base64url'),
      transports: ['internal'],
    },
  };
}

/** What `navigator.credentials.get` gives. */
export function assert(passkey: Passkey, options: object, origin: string, faults: Faults = {}) {
  const asked = options as { challenge: string; rpId: string };
  const data = authenticatorData(faults.rpId ?? asked.rpId, faults.flags ?? presentAndVerified, passkey.counter);
  const client = clientData('webauthn.get', faults.challenge ?? asked.challenge, faults.origin ?? origin);
  const signed = Buffer.concat([data, createHash('sha256').update(Buffer.from(client, 'base64url')).digest()]);
  return {
    ...answer(passkey),
    response: {
      clientDataJSON: client,
      authenticatorData: data.toString('base64url'),
      signature: sign('sha256', signed, passkey.privateKey).toString('base64url'),
      userHandle: faults.userHandle ?? passkey.userHandle,
    },
  };
}

function answer({ id }: Passkey) {
  return { id, rawId: id, type: 'public-key', authenticatorAttachment: 'platform', clientExtensionResults: {} };
}

function authenticatorData(rpId: string, flags: number, counter: number): Buffer {
  const rest = Buffer.alloc(5);
  rest[0] = flags;
  rest.writeUInt32BE(counter, 1);
  return Buffer.concat([createHash('sha256').update(rpId).digest(), rest]);
}

function clientData(type: string, challenge: string, origin: string): string {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false })).toString('base64url');
}
