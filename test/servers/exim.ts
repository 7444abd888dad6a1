/**
 * Exim from Debian's unstable suite, unpacked once into a cache, on two free loopback ports: STARTTLS and TLS from the start.
 * It takes mail of the user `anna` and keeps it in its queue. Its account exists for it alone (nss_wrapper).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { makeCertificates } from './smtp.ts';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('suite-packages.sh', import.meta.url));

/** The folder it is unpacked in; `undefined` where it cannot be had, which is an error where CI is set. Half a minute and 200 MB the first time. */
export async function eximFolder(): Promise<string | undefined> {
  const folder = join(cache, 'exim-sid');
  try {
    await promisify(execFile)(script, [folder, 'sid', '/usr/sbin/exim4', 'exim4-daemon-light', 'libnss-wrapper']);
    return join(folder, 'root');
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`Exim cannot be had here: ${String(error)}`);
    return undefined;
  }
}

export interface EximServer extends AsyncDisposable {
  /** For STARTTLS, and for TLS from the start. */
  readonly port: number;
  readonly securePort: number;
  readonly ca: string;
  /** Envelopes and headers, and texts, of what it took; as they lie in its queue. */
  queue(): { readonly envelope: string; readonly text: string }[];
}

/** It refuses `nobody@example.com`. */
export async function startExim(root: string, password: string): Promise<EximServer> {
  const { folder, ca, cert, key } = makeCertificates();
  const at = (name: string): string => join(folder, name);
  // As root it gives up its rights for those of nobody, who has to reach all of this.
  const isRoot = process.getuid?.() === 0;
  const [uid, gid] = isRoot ? [65_534, 65_534] : [process.getuid!(), process.getgid!()];
  chmodSync(folder, 0o755);
  for (const name of ['spool', 'log']) {
    mkdirSync(at(name));
    if (isRoot) chownSync(at(name), uid, gid);
  }
  if (isRoot) for (const file of [cert, key]) chownSync(file, uid, gid);
  writeFileSync(at('passwd'), `root:x:0:0::/root:/bin/sh\nDebian-exim:x:${uid}:${gid}::/:/bin/false\n`);
  writeFileSync(at('group'), `root:x:0:\nDebian-exim:x:${gid}:\nmail:x:8:\n`);
  const [port, securePort] = [await freePort(), await freePort()];
  const matches = `\${if and{{eq{$auth2}{anna}}{eq{$auth3}{${password}}}}}`;
  const lines = [
    ...['keep_environment =', `spool_directory = ${at('spool')}`, `log_file_path = ${at('log')}/%slog`],
    ...[`pid_file_path = ${at('spool')}/pid`, 'primary_hostname = mail.example', 'local_interfaces = 127.0.0.1'],
    ...[`daemon_smtp_ports = ${port} : ${securePort}`, `tls_on_connect_ports = ${securePort}`, 'queue_only = true'],
    ...[`tls_certificate = ${cert}`, `tls_privatekey = ${key}`, 'tls_advertise_hosts = *'],
    ...[`auth_advertise_hosts = \${if eq{$tls_in_cipher}{}{}{*}}`, 'acl_smtp_rcpt = rcpt', 'acl_smtp_data = accept'],
    ...['begin acl', 'rcpt:', '  deny message = no such person', '    recipients = nobody@example.com'],
    ...['  require authenticated = *', '  accept', 'begin authenticators', 'plain:', '  driver = plaintext'],
    ...['  public_name = PLAIN', '  server_prompts = :', `  server_condition = ${matches}`, '  server_set_id = $auth2'],
  ];
  writeFileSync(at('conf'), `${lines.join('\n')}\n`);
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const argv = ['--preload', join(libraries, 'libnss_wrapper.so'), '--library-path', libraries];
  const env = { ...process.env, NSS_WRAPPER_PASSWD: at('passwd'), NSS_WRAPPER_GROUP: at('group') };
  const exim = spawn(
    join(root, 'usr/lib64/ld-linux-x86-64.so.2'),
    [...argv, join(root, 'usr/sbin/exim4'), '-C', at('conf'), '-bdf'],
    // Of a group of its own, which ends with it: who serves a connection would write on.
    { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const stop = async (): Promise<void> => {
    if (exim.exitCode === null && exim.signalCode === null) {
      process.kill(-exim.pid!, 'SIGKILL');
      await once(exim, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const said = await fault(exim, securePort);
  if (said !== undefined) {
    await stop();
    throw new Error(`Exim does not start: ${said}`);
  }
  const queue: EximServer['queue'] = () => {
    const input = join(at('spool'), 'input');
    const ids = readdirSync(input).filter((name) => name.endsWith('-H'));
    return ids.map((name) => ({
      envelope: readFileSync(join(input, name), 'utf8'),
      text: readFileSync(join(input, name.replace(/-H$/, '-D')), 'utf8'),
    }));
  };
  return { port, securePort, ca, queue, [Symbol.asyncDispose]: stop };
}

/** What it said where it does not listen; `undefined` when it does. */
async function fault(exim: ChildProcess, port: number): Promise<string | undefined> {
  let said = '';
  for (const stream of [exim.stdout!, exim.stderr!]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  for (let attempt = 0; attempt < 1200 && exim.exitCode === null; attempt++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => undefined).end();
    });
    if (isThere) return undefined;
    await setTimeout(50);
  }
  return said === '' ? 'it says nothing' : said;
}
