/** Machines of one's own: network namespaces, each with a cable to this one that can be pulled out. Linux, root. */
import { execFileSync } from 'node:child_process';

const ip = (...argv: string[]): void => void execFileSync('ip', argv, { stdio: 'pipe' });

export interface Cabled {
  /** Put before a command line, it runs over there. */
  readonly prefix: readonly string[];
  pull(): void;
  plug(): void;
}

export class Network implements Disposable {
  readonly #id = process.pid % 80;
  readonly #devices: string[] = [];
  readonly #names: string[] = [];

  /** With an address of this machine that all of them reach. */
  constructor() {
    ip('addr', 'add', `${this.address}/32`, 'dev', 'lo');
  }

  get address(): string {
    return `10.251.${this.#id}.1`;
  }

  /** The networks that connections come from. */
  get range(): string {
    return `10.251.${this.#id}.0/24`;
  }

  add(name: string): Cabled {
    const space = `hf${process.pid}${name}`;
    const near = `hf${process.pid}${name.slice(0, 3)}`;
    const base = 4 * (this.#names.length + 1);
    this.#names.push(space);
    this.#devices.push(near);
    const over = ['netns', 'exec', space, 'ip'];
    ip('netns', 'add', space);
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
    ip('addr', 'add', `10.251.${this.#id}.${base + 1}/30`, 'dev', near);
    ip('link', 'set', near, 'up');
    ip(...over, 'addr', 'add', `10.251.${this.#id}.${base + 2}/30`, 'dev', 'eth0');
    ip(...over, 'link', 'set', 'lo', 'up');
    ip(...over, 'link', 'set', 'eth0', 'up');
    ip(...over, 'route', 'add', 'default', 'via', `10.251.${this.#id}.${base + 1}`);
    return {
      prefix: ['ip', 'netns', 'exec', space],
      // On this side: over there the routes stay, as with a real cable.
      pull: () => ip('link', 'set', near, 'down'),
      plug: () => ip('link', 'set', near, 'up'),
    };
  }

  [Symbol.dispose](): void {
    attempt(() => ip('addr', 'del', `${this.address}/32`, 'dev', 'lo'));
    for (const device of this.#devices) attempt(() => ip('link', 'del', device));
    for (const space of this.#names) attempt(() => ip('netns', 'del', space));
  }
}

/** What was not made cannot be removed. */
function attempt(remove: () => void): void {
  try {
    remove();
  } catch {
    return;
  }
}
