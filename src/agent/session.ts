/** One connection of an agent, from its hello to its end. What it tells is kept by `AgentRuns` until it was heard. */
import { hostname } from 'node:os';
import type { WebSocket } from 'ws';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { programVersion } from '../base/version.ts';
import { isToBeRenewed, keyHashOf, makeRequest } from '../protocols/agent/certificates.ts';
import type { AgentRuns } from './agent-runs.ts';
import type { Identity } from './identity.ts';
import { requireOwn } from './join.ts';
import { Link, type LinkTiming } from './link.ts';
import {
  features,
  isCompatible,
  protocolVersion,
  readToAgent,
  type ToAgent,
  type ToServer,
  type WireError,
} from './protocol.ts';

export interface SessionOptions {
  readonly socket: WebSocket;
  readonly identity: Identity;
  /** Of this process. */
  readonly instance: string;
  readonly runs: AgentRuns;
  readonly clock: Clock;
  readonly timing: LinkTiming;
  readonly log: Log;
  /** A new certificate came. */
  readonly save: (identity: Identity) => Promise<void>;
}

/** Events go out at most this often. */
const pauseMs = 100;

export class Session {
  readonly #options: SessionOptions;
  readonly #link: Link<ToAgent, ToServer>;
  /** What went out over this connection: it is not sent again before the next one. */
  readonly #sent = new Set<string>();
  #isWelcome = false;
  #isWaking = false;
  #hasAskedToRenew = false;
  /** Why the server hung up, if it said so. */
  goodbye: WireError | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { socket, clock, timing, instance, runs } = options;
    this.#link = new Link<ToAgent, ToServer>({
      ...{ socket, clock, timing, read: readToAgent, beat: { kind: 'heartbeat' } },
      receive: (message) => this.#receive(message),
    });
    this.#link.send({
      ...{ kind: 'hello', protocol: protocolVersion, version: programVersion, features: [...features], instance },
      ...{ hostname: hostname(), platform: `${process.platform}-${process.arch}`, runs: runs.list() },
    });
  }

  get closed(): Promise<string> {
    return this.#link.closed;
  }

  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  close(reason: string): void {
    this.#link.close(reason);
  }

  /** Sends what is due, soon. */
  wake(): void {
    if (this.#isWaking || !this.#isWelcome) return;
    this.#isWaking = true;
    this.#options.clock.sleep(pauseMs, { background: true }).then(
      () => {
        this.#isWaking = false;
        this.#flush();
      },
      () => undefined,
    );
  }

  /** True when everything that is to be told has been. */
  get isQuiet(): boolean {
    return this.#options.runs.due().length === 0;
  }

  #flush(): void {
    for (const message of this.#options.runs.due()) {
      const key = keyOf(message);
      if (!this.#sent.has(key) && this.#link.send(message)) this.#sent.add(key);
    }
  }

  async #receive(message: ToAgent): Promise<void> {
    const { runs, log } = this.#options;
    switch (message.kind) {
      case 'hello':
        return this.#welcome(message);
      case 'perform': {
        const answer = runs.start(message);
        const { runId, operation, source } = message;
        log.info({ runId, operation, source }, answer.kind === 'accepted' ? 'run accepted' : 'run refused');
        this.#link.send(answer);
        return;
      }
      case 'cancel':
        return runs.cancel(message, message.error);
      case 'ack':
        if (runs.acknowledge(message, message.upTo)) this.wake();
        return;
      case 'settled':
        return await runs.settle(message);
      case 'renew':
        return await this.#askToRenew();
      case 'certificate':
        return await this.#renewed(message);
      case 'goodbye':
        this.goodbye = message.error;
        return;
      case 'ping':
        if (isToBeRenewed(this.#options.identity.certificate, this.#options.clock.nowMs())) await this.#askToRenew();
        return;
    }
  }

  #welcome({ protocol, version }: Extract<ToAgent, { kind: 'hello' }>): void {
    if (!isCompatible(protocol)) {
      throw new HoldfastError({
        code: 'agent.refused',
        message: `the server (version ${version}) speaks version ${protocol.major} of the agents' protocol, this agent ${protocolVersion.major}`,
        remedy: 'Bring the agent to the version of the server.',
      });
    }
    this.#isWelcome = true;
    this.#options.log.info({ version }, 'connected');
    this.wake();
  }

  /** With the key it has: whoever lost an answer on the way is not locked out by it. */
  async #askToRenew(): Promise<void> {
    if (this.#hasAskedToRenew) return;
    this.#hasAskedToRenew = true;
    this.#link.send({ kind: 'renewal', request: await makeRequest(this.#options.identity.key) });
  }

  async #renewed({ certificate }: Extract<ToAgent, { kind: 'certificate' }>): Promise<void> {
    const { identity, save, log } = this.#options;
    requireOwn(certificate, identity.authority, keyHashOf(identity.certificate));
    await save({ ...identity, certificate });
    log.info('the certificate was renewed');
    // The next connection shows the new one; a run that goes on does not notice.
    this.close('the certificate was renewed');
  }
}

function keyOf(message: ToServer): string {
  const { runId, fence } = message as { runId?: string; fence?: number };
  return `${message.kind}/${runId}/${fence}/${message.kind === 'events' ? message.from : ''}`;
}
