/**
 * Lets agents in, and has runs performed by them. One process of an installation does: agents know one address, and runs for
 * them go to whoever listens there.
 */
import { randomBytes } from 'node:crypto';
import { Link, type LinkTiming } from '../../agent/link.ts';
import {
  type AgentHello,
  features,
  heartbeatMs,
  isCompatible,
  protocolVersion,
  readToServer,
  silenceMs,
  type ToAgent,
  type ToServer,
  type WireError,
} from '../../agent/protocol.ts';
import { agentOfKey, standingKeys } from '../../auth/agents/enrolment.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { programVersion } from '../../base/version.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { lastTold } from '../../catalogue/run-log.ts';
import type { RunRecord } from '../../model/run-record.ts';
import {
  type Credentials,
  issueAgentCertificate,
  isToBeRenewed,
  keyHashOf,
} from '../../protocols/agent/certificates.ts';
import type { ExecuteUses } from '../../runs/execute.ts';
import { AgentDesk, type DeskTiming, usualDeskTiming } from './desk.ts';
import { holdOf, isEnded, recordLate } from './held.ts';
import { AgentListener, type ConnectedAgent } from './listener.ts';
import { Presence } from './presence.ts';

export interface GateOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Log;
  readonly authority: Credentials;
  readonly listen: { readonly host: string; readonly port: number };
  readonly names: readonly string[];
  /** What an agent is sent for a run, with secrets, and to which agent; asked when the run begins. */
  readonly work: (run: RunRecord, signal: AbortSignal) => Promise<AgentWork>;
  /** Goes on with a run that a former process of this server had begun: true if `execute` is called for it now, or was before. */
  readonly resume: (hold: { readonly id: string; readonly fence: number }) => Promise<boolean>;
  readonly timing?: { readonly link?: LinkTiming; readonly desk?: DeskTiming; readonly lostMs?: number };
}

export interface AgentWork {
  readonly agent: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly configuration: string;
  readonly secrets: Readonly<Record<string, string>>;
}

interface Connection {
  readonly agent: ConnectedAgent;
  readonly link: Link<ToServer, ToAgent>;
  certificate: string | Buffer;
  hello?: AgentHello;
}

/** How soon a revocation counts. */
const lookMs = 2_000;

export class AgentGate implements AsyncDisposable {
  readonly #options: GateOptions;
  /** Of this process, for agents. */
  readonly #server = randomBytes(8).toString('hex');
  readonly #desks = new Map<string, AgentDesk>();
  readonly #connections = new Map<string, Connection>();
  readonly #closing = new AbortController();
  readonly #presence: Presence;
  #listener: AgentListener | undefined;
  #looking: Promise<void> | undefined;

  private constructor(options: GateOptions) {
    this.#options = options;
    const { catalogue, clock, timing } = options;
    this.#presence = new Presence({ catalogue, clock, lostMs: timing?.lostMs });
  }

  static async open(options: GateOptions): Promise<AgentGate> {
    const gate = new AgentGate(options);
    const connected = (agent: ConnectedAgent): void => gate.#connected(agent);
    gate.#listener = await AgentListener.open({ ...options, connected });
    gate.#looking = gate.#lookAfter();
    return gate;
  }

  get port(): number {
    return this.#listener!.port;
  }

  /** Names of the agents that are connected now. */
  get connected(): readonly string[] {
    return [...this.#desks.values()].filter((one) => one.isConnected).map((one) => one.name);
  }

  /** What the operation gave at the agent. See `AgentDesk.execute` for how it rejects. */
  async execute(run: RunRecord, { signal, report, written = async () => {} }: ExecuteUses): Promise<unknown> {
    const { catalogue } = this.#options;
    const hold = await holdOf(catalogue, run.id);
    // Of a server before this one, which may not have come to confirm it.
    const after = await lastTold(catalogue, { id: run.id, fence: hold.fence });
    const { agent, ...work } = await this.#options.work(run, signal);
    const perform = { kind: 'perform' as const, ...hold, ...work, source: run.source };
    return await this.#desk(agent).execute(
      { ...perform, input: { ...work.input }, secrets: { ...work.secrets } },
      { signal, report, written, after },
    );
  }

  #desk(name: string): AgentDesk {
    const known = this.#desks.get(name);
    if (known) return known;
    const { clock, catalogue, timing } = this.#options;
    const desk = new AgentDesk({
      ...{ name, clock, timing: timing?.desk ?? usualDeskTiming },
      resume: ({ runId, fence }) => this.#options.resume({ id: runId, fence }),
      isEnded: (hold) => isEnded(catalogue, hold),
      late: (result) => recordLate(catalogue, { agent: name, result, nowMs: clock.nowMs() }),
    });
    this.#desks.set(name, desk);
    return desk;
  }

  #connected(agent: ConnectedAgent): void {
    const { clock, timing, log } = this.#options;
    this.#hangUp(agent.name, { ...elsewhere, message: `${elsewhere.message} «${agent.name}»` });
    const link = new Link<ToServer, ToAgent>({
      ...{ socket: agent.socket, clock, timing: timing?.link ?? { heartbeatMs, silenceMs }, read: readToServer },
      ...{ beat: { kind: 'ping' }, receive: (message) => this.#receive(connection, message) },
    });
    const connection: Connection = { agent, link, certificate: agent.certificate };
    this.#connections.set(agent.name, connection);
    link.closed.then(
      (reason) => {
        if (this.#connections.get(agent.name) === connection) this.#connections.delete(agent.name);
        this.#desk(agent.name).detach(link);
        log.info({ agent: agent.name, reason }, 'an agent is disconnected');
      },
      () => undefined,
    );
  }

  async #receive(connection: Connection, message: ToServer): Promise<void> {
    if (message.kind === 'hello') return await this.#welcome(connection, message);
    if (message.kind === 'renewal') return await this.#renew(connection, message.request);
    if (connection.hello && !connection.agent.isLate) await this.#desk(connection.agent.name).take(message);
  }

  async #welcome(connection: Connection, hello: AgentHello): Promise<void> {
    const { agent, link } = connection;
    const { catalogue, clock, log } = this.#options;
    if (!isCompatible(hello.protocol)) {
      this.#hangUp(agent.name, otherProtocol(hello.version));
      return;
    }
    connection.hello = hello;
    // It may have been revoked between its handshake and now.
    await agentOfKey(catalogue, agent.keyHash);
    const own = { protocol: protocolVersion, version: programVersion, features: [...features], server: this.#server };
    link.send({ kind: 'hello', ...own });
    if (agent.isLate || isToBeRenewed(agent.certificate, clock.nowMs())) link.send({ kind: 'renew' });
    if (agent.isLate) return;
    await this.#presence.there(agent.name, hello);
    log.info({ agent: agent.name, version: hello.version, hostname: hello.hostname }, 'an agent is connected');
    await this.#desk(agent.name).attach(link, hello);
  }

  /** For the key it has shown, and no other. */
  async #renew(connection: Connection, request: string): Promise<void> {
    const { authority, clock, log } = this.#options;
    const { name, keyHash } = connection.agent;
    const certificate = await issueAgentCertificate(authority, { request, name, nowMs: clock.nowMs() });
    if (keyHashOf(certificate) !== keyHash) {
      this.#hangUp(name, { code: 'agent.refused', message: 'the request is for another key', remedy: 'Join again.' });
      return;
    }
    connection.link.send({ kind: 'certificate', certificate, authority: authority.certificate });
    log.info({ agent: name }, 'the certificate of an agent was renewed');
  }

  #hangUp(name: string, error: WireError): void {
    const connection = this.#connections.get(name);
    if (!connection) return;
    this.#connections.delete(name);
    connection.link.send({ kind: 'goodbye', error });
    connection.link.close(error.message);
    this.#desk(name).detach(connection.link);
  }

  /** Closes the connections of who was revoked, tells agents what was written down, and sees who is there. */
  async #lookAfter(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#closeRevoked();
        await this.#settleEnded();
        await this.#presence.look(new Set(this.connected));
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'agents cannot be looked after; trying again');
      }
      await clock.sleep(lookMs, { signal, background: true }).catch(() => undefined); // closing: the loop ends
    }
  }

  async #closeRevoked(): Promise<void> {
    const connections = [...this.#connections.values()];
    const standing = await standingKeys(
      this.#options.catalogue,
      connections.map(({ agent }) => agent.keyHash),
    );
    for (const { agent } of connections) {
      if (!standing.has(agent.keyHash)) this.#hangUp(agent.name, revoked(agent.name));
    }
  }

  async #settleEnded(): Promise<void> {
    for (const desk of this.#desks.values()) await desk.settleEnded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#looking;
    await this.#settleEnded().catch(() => undefined); // agents keep what was not settled
    const error = { code: 'agent.away', message: 'the server is being stopped', remedy: 'Nothing has to be done.' };
    for (const name of [...this.#connections.keys()]) this.#hangUp(name, error);
    await this.#listener?.[Symbol.asyncDispose]();
  }
}

const elsewhere: WireError = {
  code: 'run.conflict',
  message: 'another connection was made as the agent',
  remedy: 'If two machines have the state of one agent (a copy of a virtual machine), let one of them join anew.',
};

function revoked(name: string): WireError {
  return {
    code: 'agent.refused',
    message: `the agent «${name}» was revoked, or has joined anew`,
    remedy: `If this machine is to work again, on the server: holdfast agent enrol ${name}`,
  };
}

function otherProtocol(version: string): WireError {
  return {
    code: 'agent.refused',
    message: `an agent of version ${version} speaks another protocol than this server (version ${programVersion})`,
    remedy: 'Bring the agent to the version of the server.',
  };
}
