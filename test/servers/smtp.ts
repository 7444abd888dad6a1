/** SMTP servers on free loopback ports, with certificates of an authority of their own: npm's smtp-server, and Exim. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** `ca.pem`, and a certificate for `mail.example` and 127.0.0.1 in `cert.pem` and `key.pem`, in a new folder. */
export function makeCertificates(): { folder: string; ca: string; cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-smtp-'));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=trial authority');
  openssl('req', ...key, '-keyout', 'key.pem', '-out', 'cert.csr', '-subj', '/CN=mail.example');
  writeFileSync(at('names'), 'subjectAltName=DNS:mail.example,IP:127.0.0.1\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'cert.csr', ...signed, '-out', 'cert.pem', '-days', '2');
  return { folder, ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly isSecure: boolean;
  /** As it was sent, without quoted-printable. */
  readonly text: string;
}

export interface SmtpOptions {
  readonly tls?: 'from the start' | 'offered' | 'none';
  /** By address: the status it is refused with. */
  readonly refused?: Readonly<Record<string, number>>;
  readonly password?: string;
}

export class SmtpServer implements AsyncDisposable {
  readonly mails: Mail[] = [];
  readonly port: number;
  readonly #server: SMTPServer;
  readonly #folder: string;

  private constructor(server: SMTPServer, port: number, folder: string, mails: Mail[]) {
    this.#server = server;
    this.port = port;
    this.#folder = folder;
    this.mails = mails;
  }

  static async start({
    tls = 'offered',
    refused = {},
    password,
  }: SmtpOptions = {}): Promise<SmtpServer & { ca: string }> {
    const { folder, ca, cert, key } = makeCertificates();
    const mails: Mail[] = [];
    const disabled = [...(tls === 'offered' ? [] : ['STARTTLS']), ...(password === undefined ? ['AUTH'] : [])];
    const options: SMTPServerOptions = {
      secure: tls === 'from the start',
      key: readFileSync(key),
      cert: readFileSync(cert),
      disabledCommands: disabled,
      authOptional: password === undefined,
      // Whether a password may come without TLS is the client's to refuse.
      allowInsecureAuth: true,
      closeTimeout: 100,
      onAuth: ({ username, password: given }, _session, done) => {
        if (given === password) done(null, { user: username });
        else done(Object.assign(new Error(`wrong password ${given}`), { responseCode: 535 }));
      },
      onRcptTo: ({ address }, _session, done) => {
        const status = refused[address];
        done(status === undefined ? null : Object.assign(new Error(`no ${address} here`), { responseCode: status }));
      },
      onData: async (stream, { envelope, user, secure }, done) => {
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        const to = envelope.rcptTo.map(({ address }) => address);
        mails.push({ from, to, user, isSecure: secure, text: decoded(Buffer.concat(chunks)) });
        done();
      },
    };
    const server = new SMTPServer(options);
    // Clients that give up are what is tested.
    server.on('error', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server.server, 'listening');
    const { port } = server.server.address() as AddressInfo;
    return Object.assign(new SmtpServer(server, port, folder, mails), { ca });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function decoded(bytes: Buffer): string {
  const joined = bytes.toString('latin1').replace(/=\r\n/g, '');
  const plain = joined.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1').toString();
}

/** Takes connections and says nothing; or speaks until the mail itself is to come, and then nothing more. */
export async function startSilent(after: 'connect' | 'mail'): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<import('node:net').Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    if (after === 'connect') return;
    socket.write('220 silent ESMTP\r\n');
    socket.on('data', (bytes) => {
      const said = bytes.toString();
      if (/^EHLO/.test(said)) socket.write('250 silent\r\n');
      else if (/^(MAIL|RCPT)/.test(said)) socket.write('250 ok\r\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
