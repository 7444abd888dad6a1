/**
 * A Ceph cluster of one (a monitor, an object daemon in memory) with its S3 gateway, on free loopback ports: checks signatures
 * and conditions as Amazon does. Unpacked once from another Debian release (600 MB in the cache), run under bubblewrap; up in
 * some 15 s. Needs bwrap.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { answers, type S3Server } from './s3-moto.ts';

const run = promisify(execFile);
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('suite-packages.sh', import.meta.url));
const packages = ['ceph-mon', 'ceph-osd', 'radosgw', 'bash', 'dash', 'coreutils', 'python3'];
const env = { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: 'a-secret-key-of-the-test' };
/** Of another user, who may what a bucket's policy allows `arn:aws:iam:::user/client`. */
const clientEnv = { AWS_ACCESS_KEY_ID: 'AKIACLIENT', AWS_SECRET_ACCESS_KEY: 'a-secret-key-of-the-client' };
const uuid = '22222222-2222-4222-8222-222222222222';
const conf = ['-c', '/data/ceph.conf'];

export interface CephGateway extends S3Server {
  readonly clientEnv: S3Server['env'];
}

export async function startCephGateway(): Promise<CephGateway> {
  const folder = join(cache, 'ceph-sid');
  await run(script, [folder, 'sid', '/usr/bin/radosgw', ...packages]);
  const data = mkdtempSync(join(tmpdir(), 'holdfast-ceph-'));
  for (const part of ['mon', 'osd', 'run', 'rgw']) mkdirSync(join(data, part));
  const [monitor, gateway] = [await freePort(), await freePort()];
  writeFileSync(join(data, 'ceph.conf'), configuration(monitor, gateway));
  const jail = (args: readonly string[]): string[] => [...jailOf(join(folder, 'root'), data), ...args];
  const jailed = (...args: string[]) => run('bwrap', jail(args), { timeout: 30_000 });
  const daemons: ChildProcess[] = [];
  const daemon = (...args: string[]): void => {
    daemons.push(spawn('bwrap', jail(args), { stdio: 'ignore' }));
  };
  const stop = async (): Promise<void> => {
    for (const child of daemons.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await setTimeout(200);
    rmSync(data, { recursive: true, force: true, maxRetries: 20 });
  };
  try {
    const address = `[v1:127.0.0.1:${monitor}]`;
    await jailed(
      'monmaptool',
      ...conf,
      '--create',
      '--clobber',
      '--fsid',
      uuid,
      '--addv',
      'a',
      address,
      '/data/monmap',
    );
    await jailed('ceph-mon', ...conf, '-i', 'a', '--mkfs', '--monmap', '/data/monmap');
    daemon('ceph-mon', ...conf, '-i', 'a', '-f');
    await jailed('ceph', ...conf, 'osd', 'new', uuid);
    await jailed('ceph-osd', ...conf, '-i', '0', '--mkfs', '--osd-uuid', uuid);
    daemon('ceph-osd', ...conf, '-i', '0', '-f');
    // A monitor that has just come up may still refuse to answer.
    const isUp = async (): Promise<boolean> => (await jailed('ceph', ...conf, 'osd', 'stat')).stdout.includes('1 up');
    await until(() => isUp().catch(() => false));
    const user = ['user', 'create', '--uid=t', '--display-name=t'];
    const keys = [`--access-key=${env.AWS_ACCESS_KEY_ID}`, `--secret-key=${env.AWS_SECRET_ACCESS_KEY}`];
    await jailed('radosgw-admin', ...conf, '-n', 'client.rgw', ...user, ...keys);
    const other = ['user', 'create', '--uid=client', '--display-name=client'];
    const clientKeys = [
      `--access-key=${clientEnv.AWS_ACCESS_KEY_ID}`,
      `--secret-key=${clientEnv.AWS_SECRET_ACCESS_KEY}`,
    ];
    await jailed('radosgw-admin', ...conf, '-n', 'client.rgw', ...other, ...clientKeys);
    daemon('radosgw', ...conf, '-n', 'client.rgw', '-f');
    const endpoint = `http://127.0.0.1:${gateway}`;
    await until(() => answers(endpoint));
    return { endpoint, env, clientEnv, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function jailOf(root: string, data: string): string[] {
  const places = ['--bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--bind', data, '/data', '--tmpfs', '/tmp'];
  const user = ['--uid', '0', '--gid', '0', '--cap-add', 'ALL', '--setenv', 'HOME', '/root'];
  const path = ['--setenv', 'PATH', '/usr/sbin:/usr/bin:/sbin:/bin'];
  return [...places, '--share-net', '--unshare-pid', '--die-with-parent', ...user, ...path];
}

function configuration(monitor: number, gateway: number): string {
  const none = ['cluster', 'service', 'client'].map((who) => `auth_${who}_required = none\n`).join('');
  return `[global]
fsid = ${uuid}
mon_host = v1:127.0.0.1:${monitor}
${none}run_dir = /data/run
admin_socket = /data/run/$name.asok
pid_file =
log_file = /data/$name.log
osd_objectstore = memstore
memstore_device_bytes = 8589934592
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
ms_bind_msgr2 = false
mon_data = /data/mon
osd_data = /data/osd
osd_class_dir = /usr/lib/x86_64-linux-gnu/rados-classes
osd_open_classes_on_start = false
plugin_dir = /usr/lib/x86_64-linux-gnu/ceph
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:${gateway} tcp_nodelay=1
rgw_data = /data/rgw
rgw_gc_obj_min_wait = 20
rgw_gc_processor_period = 20
rgw_gc_processor_max_time = 20
`;
}

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await done()); tries++) {
    if (tries > 150) throw new Error('a part of the Ceph cluster did not come up');
    await setTimeout(300);
  }
}
