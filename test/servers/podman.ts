/**
 * Podman as a container engine that speaks Docker's API, with images, containers and state of its own in a temporary
 * folder. Images are made of this machine's files, so nothing is downloaded.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const directories = ['dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'usr', 'var/lib', 'var/tmp', 'var/log', 'srv'];
/** What programs need of /etc. */
const configuration = [
  'alternatives',
  'group',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'mysql',
  'nsswitch.conf',
  'passwd',
];

export interface PodmanOptions {
  /** Containers see this machine's /usr, read only: what is installed here runs there. */
  readonly hostPrograms?: boolean;
}

/** The engine; `undefined` where podman cannot be started, which fails the test where CI is set. */
export class Podman implements AsyncDisposable {
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #networks: string[] = [];
  #service: ChildProcess | undefined;

  constructor(folder: string, hostPrograms: boolean) {
    this.#folder = folder;
    const file = join(folder, 'containers.conf');
    writeFileSync(file, engineConfiguration(folder, hostPrograms));
    this.#environment = {
      ...process.env,
      CONTAINERS_CONF: file,
      CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf'),
    };
    writeFileSync(join(folder, 'registries.conf'), '');
    writeFileSync(join(folder, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  }

  get socketPath(): string {
    return join(this.#folder, 'podman.sock');
  }

  /** Starts the API, or starts it again. */
  async startService(): Promise<void> {
    const service = spawn(
      'podman',
      [...this.#options, 'system', 'service', '--time=900', `unix://${this.socketPath}`],
      {
        env: this.#environment,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    this.#service = service;
    let said = '';
    service.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    for (let attempt = 0; attempt < 1200; attempt++) {
      if (await answers(this.socketPath)) return;
      if (service.exitCode !== null) break;
      await setTimeout(50);
    }
    throw new Error(`podman does not serve its API here: ${said.trim()}`);
  }

  /** Ends the API at once, as a crash does; containers go on. */
  async killService(): Promise<void> {
    const service = this.#service;
    if (!service || service.exitCode !== null || service.signalCode !== null) return;
    const ended = new Promise((resolve) => service.once('exit', resolve));
    service.kill('SIGKILL');
    await ended;
    rmSync(this.socketPath, { force: true });
  }

  /** A podman command; its stdout. */
  async command(...args: readonly string[]): Promise<string> {
    const { stdout } = await execute('podman', [...this.#options, ...args], {
      env: this.#environment,
      encoding: 'utf8',
    });
    return stdout.trim();
  }

  /** An image of a few megabytes with busybox as every program. Its name. */
  async importBusyboxImage(): Promise<string> {
    return await this.#import('busybox', '/bin', (root) => {
      mkdirSync(join(root, 'bin'));
      cpSync(findBusybox(), join(root, 'bin/busybox'));
      const applets = execFileSync(join(root, 'bin/busybox'), ['--list'], { encoding: 'utf8' }).trim().split('\n');
      for (const applet of applets) {
        if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
      }
      writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
      writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
    });
  }

  /** An image with one program that never ends and nothing else: no shell, no cat. Its name. */
  async importBareImage(): Promise<string> {
    return await this.#import('bare', '/bin', (root) => {
      mkdirSync(join(root, 'bin'));
      cpSync(findBusybox(), join(root, 'bin/sleep'));
      writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    });
  }

  /** An image with this machine's programs and accounts; needs `hostPrograms`. Its name. */
  async importHostImage(): Promise<string> {
    return await this.#import('host', '/usr/sbin:/usr/bin:/sbin:/bin', (root) => {
      for (const name of ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin']) {
        if (existsSync(`/usr/${name}`)) symlinkSync(`usr/${name}`, join(root, name));
      }
      for (const name of configuration) {
        const from = join('/etc', name);
        if (existsSync(from)) cpSync(from, join(root, 'etc', name), { recursive: true, verbatimSymlinks: true });
      }
    });
  }

  /** A network with a bridge and addresses of its own: engines that share the default one take it from each other. Its name. */
  async makeNetwork(): Promise<string> {
    const name = `holdfast-${process.pid}`;
    await this.command('network', 'create', name);
    this.#networks.push(name);
    return name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.command('rm', '--all', '--force', '--time', '0', '--volumes');
    } finally {
      for (const name of this.#networks) {
        await this.command('network', 'rm', '--force', name);
        rmSync(join('/var/lib/cni/networks', name), { recursive: true, force: true });
      }
      await this.killService();
      unmountBelow(this.#folder);
      // What cleans up after a program may still be at it, and would make the folder anew.
      for (let left = 100; left > 0 && isNamed(this.#folder); left--) await setTimeout(50);
      rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  }

  get #options(): string[] {
    const at = (name: string): string => join(this.#folder, name);
    // vfs: no mounts to clear away, and it works where overlays cannot be stacked
    return ['--root', at('root'), '--runroot', at('runroot'), '--tmpdir', at('tmp'), '--storage-driver', 'vfs'];
  }

  async #import(name: string, path: string, fill: (root: string) => void): Promise<string> {
    const root = mkdtempSync(join(this.#folder, 'image-'));
    try {
      for (const directory of directories) mkdirSync(join(root, directory), { recursive: true });
      for (const open of ['tmp', 'var/tmp']) chmodSync(join(root, open), 0o1777);
      chmodSync(root, 0o755);
      fill(root);
      const tar = join(this.#folder, `${name}.tar`);
      await execute('tar', ['-C', root, '--owner=0', '--group=0', '-cf', tar, '.']);
      const image = `localhost/holdfast-${name}:1`;
      await this.command('import', '--change', `ENV PATH=${path}`, '--change', 'VOLUME /volume', tar, image);
      rmSync(tar);
      return image;
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
}

/** Starts an engine. Throws a message that says what is missing. */
export async function startPodman({ hostPrograms = false }: PodmanOptions = {}): Promise<Podman> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-podman-'));
  const podman = new Podman(folder, hostPrograms);
  try {
    await podman.startService();
    return podman;
  } catch (error) {
    await podman.killService();
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`podman (apt: podman runc busybox-static) is needed: ${String(error)}`);
  }
}

/** runc with cgroupfs and modest limits runs also where this is a container itself. */
function engineConfiguration(folder: string, hostPrograms: boolean): string {
  mkdirSync(join(folder, 'networks'));
  return `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
${hostPrograms ? 'volumes = ["/usr:/usr:ro"]' : ''}
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
[network]
network_config_dir = "${join(folder, 'networks')}"
`;
}

async function answers(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function findBusybox(): string {
  const found = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (!found) throw new Error('busybox (apt: busybox-static) is needed');
  return found;
}

/** By the command line of any process. */
function isNamed(folder: string): boolean {
  return readdirSync('/proc').some((id) => {
    if (!/^\d+$/.test(id)) return false;
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'latin1').includes(folder);
    } catch {
      return false; // it ended meanwhile
    }
  });
}

function unmountBelow(folder: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const below = mounts.map((line) => line.split(' ')[1] ?? '').filter((at) => at.startsWith(`${folder}/`));
  for (const at of below.toReversed()) execFileSync('umount', ['--lazy', at]);
}
