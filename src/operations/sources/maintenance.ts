/** The maintenance windows of sources, with what they need of hosts and container engines. */
import { HoldfastError } from '../../base/errors.ts';
import type { SourceEntry } from '../../config/index.ts';
import type { ContainerControl, ContainerEngine } from '../../hosts/host.ts';
import type { Runner } from '../../hosts/run-to-end.ts';
import {
  controlByProgram,
  MaintenanceWindow,
  recordsIn,
  type Services,
  servicesOn,
  windowsDirectory,
} from '../../runs/window/index.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import type { HostPool } from './host-pool.ts';
import { isHere, machineOf } from './machine-of.ts';

type Uses = Pick<SourceAccess, 'config' | 'env' | 'openContainers' | 'hostKinds'> &
  Pick<Execution, 'clock' | 'report' | 'windows'> & { readonly hosts: HostPool };

/** Opened when the first container has to be stopped or started; closed with the run. */
export class Maintenance implements AsyncDisposable {
  readonly #uses: Uses;
  #engine: Promise<ContainerEngine | undefined> | undefined;

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  /** `undefined` if the source has none. */
  async windowOf(source: SourceEntry): Promise<MaintenanceWindow | undefined> {
    const { window: plan } = source;
    if (plan === undefined || plan.before.length + plan.after.length === 0) return undefined;
    const { config, env, hostKinds, clock, report, windows } = this.#uses;
    const { name, host } = source;
    return new MaintenanceWindow({
      plan,
      ...{ clock, report },
      ...(await this.reach(host)),
      records: windows ?? recordsIn(windowsDirectory(env)),
      about: { config: config.file, source: name, host, machine: machineOf(host, config, hostKinds) },
    });
  }

  /** A host, and the services of the machine it is on. A container that a window stopped is reached for its steps, not before: it has to be started first. */
  async reach(name: string): Promise<{ host: Runner; services: Services }> {
    const { hosts, clock, config } = this.#uses;
    const here = servicesOn(hosts.local, () => this.#control());
    if (isHere(config.hosts.get(name)?.kind ?? '')) {
      return { host: { name, run: async (command) => await (await hosts.get(name)).run(command) }, services: here };
    }
    const host = await hosts.get(name);
    if (isHere(host.kind)) return { host, services: here };
    return { host, services: servicesOn(host, async () => controlByProgram(host, { clock })) };
  }

  async #control(): Promise<ContainerControl> {
    this.#engine ??= this.#uses.openContainers();
    const engine = await this.#engine;
    if (engine) return engine.control;
    throw new HoldfastError({
      code: 'host.unreachable',
      message: 'no container engine answers on this machine',
      remedy: 'Start Docker or Podman, name its socket in DOCKER_HOST, and let this user use it.',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const engine = await this.#engine?.catch(() => undefined); // who asked for it has the error
    await engine?.close();
  }
}
