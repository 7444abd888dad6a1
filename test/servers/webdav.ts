/** WebDAV servers over a directory, on free loopback ports: Apache with mod_dav, nginx with its DAV modules. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export interface WebdavServer extends AsyncDisposable {
  readonly port: number;
  /** What it serves, as `/dav/`. */
  readonly directory: string;
  /** Ends it with every connection; it can be started again at the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface WebdavOptions {
  readonly user: string;
  readonly password: string;
  readonly auth: 'basic' | 'digest';
}

type Configure = (place: { folder: string; port: number; directory: string } & WebdavOptions) => {
  readonly config: string;
  readonly argv: readonly string[];
};

/** Debian's apache2-bin. The same directory is there as `/open/` without signing in, for programs that do not know digests. */
export function startApache(options: WebdavOptions): Promise<WebdavServer> {
  return startServer(options, ({ folder, port, directory, user, password, auth }) => {
    const modules = ['mpm_event', 'authn_core', 'authn_file', 'authz_core', 'authz_user', 'auth_basic', 'auth_digest'];
    const load = [...modules, 'dav', 'dav_fs', 'alias'].map(
      (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
    );
    const digest = createHash('md5').update(`${user}:files:${password}`).digest('hex');
    const basic = `{SHA}${createHash('sha1').update(password).digest('base64')}`;
    writeFileSync(join(folder, 'users'), auth === 'basic' ? `${user}:${basic}\n` : `${user}:files:${digest}\n`);
    const provider =
      auth === 'basic' ? 'AuthType Basic\nAuthBasicProvider file' : 'AuthType Digest\nAuthDigestProvider file';
    const config = `ServerRoot ${folder}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
DefaultRuntimeDir ${folder}
Mutex file:${folder}
${process.getuid?.() === 0 ? 'User nobody\nGroup nogroup' : ''}
${load.join('\n')}
DavLockDB ${folder}/locks
Alias /dav ${directory}
Alias /open ${directory}
LimitRequestBody 0
<Location /dav>
  Dav On
  ${provider}
  AuthName files
  AuthUserFile ${folder}/users
  Require valid-user
</Location>
<Location /open>
  Dav On
  Require all granted
</Location>
`;
    return { config, argv: ['/usr/sbin/apache2', '-f', join(folder, 'config'), '-DFOREGROUND'] };
  });
}

/** Debian's nginx-light with libnginx-mod-http-dav-ext. */
export function startNginx(options: WebdavOptions): Promise<WebdavServer> {
  return startServer(options, ({ folder, port, directory, user, password }) => {
    writeFileSync(join(folder, 'users'), `${user}:{PLAIN}${password}\n`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const config = `load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
pid ${folder}/pid;
error_log ${folder}/error.log;
worker_processes 2;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 0;
    location /dav/ {
      alias ${directory}/;
      client_body_temp_path ${directory}/../body;
      auth_basic files;
      auth_basic_user_file ${folder}/users;
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS;
      min_delete_depth 0;
    }
  }
}
`;
    return {
      config,
      argv: ['/usr/sbin/nginx', '-c', join(folder, 'config'), '-e', join(folder, 'error.log'), '-g', 'daemon off;'],
    };
  });
}

async function startServer(options: WebdavOptions, configure: Configure): Promise<WebdavServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-webdav-'));
  chmodSync(folder, 0o777); // its workers are nobody
  const directory = join(folder, 'files');
  mkdirSync(directory);
  chmodSync(directory, 0o777);
  const port = await freePort();
  const { config, argv } = configure({ folder, port, directory, ...options });
  writeFileSync(join(folder, 'config'), config);
  let child: ChildProcess | undefined;
  let log = '';
  const start = async (): Promise<void> => {
    const started = spawn(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    let ended = false;
    started.on('error', (error) => {
      log += error.message;
      ended = true;
    });
    started.on('exit', () => {
      ended = true;
    });
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log += chunk.toString();
      });
    }
    while (!(await answers(port))) {
      if (ended) throw new Error(`${argv[0]} ended: ${log}`);
      await sleep(20);
    }
  };
  /** SIGTERM: its workers end with it, and every connection. */
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGTERM');
    await ended;
  };
  await start();
  return {
    port,
    directory,
    stop,
    start,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`);
    return true;
  } catch {
    return false;
  }
}
