/** The hosts of one run, each opened when it is first needed and closed at the end, the last opened first. */
import { HoldfastError } from '../../base/errors.ts';
import type { ReadSecret } from '../../base/secret-reference.ts';
import { localHost as localName, readSecret } from '../../config/index.ts';
import type { Host } from '../../hosts/host.ts';
import { limitedHost } from '../../hosts/limited.ts';
import type { Execution, SourceAccess } from '../operation.ts';

type Uses = Pick<SourceAccess, 'config' | 'env' | 'hostKinds' | 'localHost'> & Pick<Execution, 'clock' | 'signal'>;

export class HostPool implements AsyncDisposable {
  readonly #uses: Uses;
  readonly #opening = new Map<string, Promise<Host>>();
  /** In the order in which they were opened: who is reached through another comes after it. */
  readonly #opened: Host[] = [];

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  get local(): Host {
    return this.#uses.localHost();
  }

  /** `config.unknown-name`, and what opening throws. A host that could not be opened is tried again by the next who asks. */
  async get(name: string): Promise<Host> {
    if (name === localName) return this.local;
    const opening = this.#opening.get(name) ?? this.#open(name);
    this.#opening.set(name, opening);
    try {
      return await opening;
    } catch (error) {
      this.#opening.delete(name);
      throw error;
    }
  }

  readonly secret: ReadSecret = async (reference, owner) => {
    const { env, signal } = this.#uses;
    return await readSecret(reference, owner, { env, signal, run: (command) => this.local.run(command) });
  };

  async #open(name: string): Promise<Host> {
    const { config, hostKinds, clock, signal } = this.#uses;
    const entry = config.hosts.get(name);
    const kind = hostKinds.find((one) => one.name === entry?.kind);
    if (!entry || !kind) {
      throw new HoldfastError({
        code: 'config.unknown-name',
        message: `there is no host «${name}» in ${config.file}`,
        remedy: 'Declare it under «hosts:».',
      });
    }
    const through = (other: string): Promise<Host> => this.get(other);
    const opened = await kind.open(name, entry.settings, {
      ...{ clock, signal, through },
      ...{ local: this.local, secret: this.secret },
    });
    const host = limitedHost(opened, entry.limits ?? {}, clock);
    this.#opened.push(host);
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#opened.toReversed()) await host.close();
    this.#opened.length = 0;
    this.#opening.clear();
  }
}
