/**
 * The certificates that a server and its agents know each other by: X.509 (RFC 5280) with ECDSA on P-256, made by an
 * authority of the server's own. Requests are PKCS #10 (RFC 2986). Keys are PKCS #8 in PEM. What a certificate may be
 * used for (RFC 5280, 4.2.1.12) keeps an agent from playing the server to other agents.
 */
import 'reflect-metadata';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  X509Certificate as ParsedCertificate,
  randomBytes,
  webcrypto,
} from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { dateOf, parseDate } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';

/** A private key and the certificate of its public half, both PEM. */
export interface Credentials {
  readonly key: string;
  readonly certificate: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
const authorityMs = 20 * 365 * dayMs;
/** A certificate is renewed when two thirds of this are over. */
export const certificateMs = 90 * dayMs;
/** The clocks of two machines differ. */
const backdatedMs = 3_600_000;

/** A new authority: it signs certificates of servers and agents, and nothing below them. */
export async function makeAuthority(nowMs: number): Promise<Credentials> {
  const key = await newKey();
  const keys = await keyPair(key);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: ['Holdfast agents'] }, { OU: [randomBytes(6).toString('hex')] }],
    notBefore: dateOf(nowMs - backdatedMs),
    notAfter: dateOf(nowMs + authorityMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key, certificate: `${certificate.toString('pem')}\n` };
}

/** For the names and addresses agents connect to. */
export async function issueServerCertificate(
  authority: Credentials,
  names: readonly string[],
  nowMs: number,
): Promise<Credentials> {
  const key = await newKey();
  const { publicKey } = await keyPair(key);
  const alternatives = names.map((name) => ({
    type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const),
    value: name,
  }));
  const extensions = [new SubjectAlternativeNameExtension(alternatives)];
  const usage = ExtendedKeyUsage.serverAuth;
  return { key, certificate: await issue(authority, { name: 'Holdfast server', publicKey, usage, nowMs, extensions }) };
}

/** What an agent is given for its request. `agent.refused` if the request is none, or was not made by the holder of its key. */
export async function issueAgentCertificate(
  authority: Credentials,
  { request, name, nowMs }: { readonly request: string; readonly name: string; readonly nowMs: number },
): Promise<string> {
  const parsed = await readRequest(request);
  const publicKey = await parsed.publicKey.export(algorithm, ['verify']);
  return await issue(authority, { name, publicKey, usage: ExtendedKeyUsage.clientAuth, nowMs, extensions: [] });
}

async function readRequest(request: string): Promise<Pkcs10CertificateRequest> {
  try {
    const parsed = new Pkcs10CertificateRequest(request);
    const key = createPublicKey({ key: Buffer.from(parsed.publicKey.rawData), format: 'der', type: 'spki' });
    const isOurs = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
    if (isOurs && (await parsed.verify())) return parsed;
  } catch {
    // Whatever it is, it is no request of an agent.
  }
  throw new HoldfastError({
    code: 'agent.refused',
    message: 'the request for a certificate is none that an agent makes',
    remedy: 'Join again with: holdfast agent join',
  });
}

interface Subject {
  readonly name: string;
  readonly publicKey: webcrypto.CryptoKey;
  readonly usage: string;
  readonly nowMs: number;
  readonly extensions: readonly Extension[];
}

async function issue(authority: Credentials, subject: Subject): Promise<string> {
  const issuer = new X509Certificate(authority.certificate);
  const { privateKey } = await keyPair(authority.key);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [subject.name] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: dateOf(subject.nowMs - backdatedMs),
    notAfter: dateOf(subject.nowMs + certificateMs),
    publicKey: subject.publicKey,
    signingKey: privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([subject.usage], true),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await SubjectKeyIdentifierExtension.create(subject.publicKey),
      ...subject.extensions,
    ],
  });
  // Ended by a line end: PEM texts are put behind one another.
  return `${certificate.toString('pem')}\n`;
}

/** An agent's own new key. */
export async function newKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  return String(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }));
}

/** A request for a certificate, signed with the key it is for; PEM. */
export async function makeRequest(key: string): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: ['agent'] }],
    keys: await keyPair(key),
    signingAlgorithm: algorithm,
  });
  return request.toString('pem');
}

async function keyPair(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(pem);
  const secret = key.export({ format: 'der', type: 'pkcs8' });
  const open = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', secret, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', open, algorithm, true, ['verify']),
  };
}

/** Positive, 127 bits. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** SHA-256 of the whole certificate, in hex. */
export function fingerprintOf(certificate: string | Buffer): string {
  return createHash('sha256').update(new ParsedCertificate(certificate).raw).digest('hex');
}

/** SHA-256 of the public key in it, in hex: stays the same when a certificate is renewed. */
export function keyHashOf(certificate: string | Buffer): string {
  const key = new ParsedCertificate(certificate).publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(key).digest('hex');
}

/** True if the authority signed it; says nothing of its dates. */
export function isIssuedBy(certificate: string | Buffer, authority: string): boolean {
  const [issued, issuer] = [new ParsedCertificate(certificate), new ParsedCertificate(authority)];
  return issued.checkIssued(issuer) && issued.verify(issuer.publicKey);
}

/** When it begins and ends to be valid, in milliseconds. */
export function validityOf(certificate: string | Buffer): { readonly fromMs: number; readonly untilMs: number } {
  const { validFrom, validTo } = new ParsedCertificate(certificate);
  return { fromMs: parseDate(validFrom), untilMs: parseDate(validTo) };
}

/** True when two thirds of its time are over. */
export function isToBeRenewed(certificate: string | Buffer, nowMs: number): boolean {
  const { fromMs, untilMs } = validityOf(certificate);
  return nowMs > fromMs + ((untilMs - fromMs) * 2) / 3;
}
