/** Who is there. An agent that has not been heard of for a while is told of once, and once more when it is back. */
import type { AgentHello } from '../../agent/protocol.ts';
import { type AgentRecord, listAgents, markLost, noteSeen } from '../../auth/agents/enrolment.ts';
import type { Clock } from '../../base/clock.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import type { Catalogue } from '../../catalogue/open.ts';

export interface PresenceOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  /** How long a silence is before somebody is told. */
  readonly lostMs?: number;
}

const usualLostMs = 5 * 60_000;
/** How often it is written down that somebody is there. */
const noteMs = 60_000;

export class Presence {
  readonly #options: PresenceOptions;
  readonly #lostMs: number;
  #notedMs = Number.NEGATIVE_INFINITY;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#lostMs = options.lostMs ?? usualLostMs;
  }

  /** It has connected just now. */
  async there(name: string, { version, hostname, platform }: AgentHello): Promise<void> {
    const { catalogue } = this.#options;
    const before = (await listAgents(catalogue)).find((one) => one.name === name);
    await noteSeen(catalogue, name, { version, facts: { hostname, platform } });
    if (before?.facts.lost !== true) return;
    await recordHappening(catalogue, {
      type: 'agent.returned',
      title: `the agent «${name}» is back`,
      facts: { agent: name, hostname },
    });
  }

  /** Called often; writes seldom. */
  async look(connected: ReadonlySet<string>): Promise<void> {
    const { catalogue, clock } = this.#options;
    if (clock.monotonicMs() - this.#notedMs < Math.min(noteMs, this.#lostMs / 4)) return;
    this.#notedMs = clock.monotonicMs();
    for (const name of connected) await noteSeen(catalogue, name);
    const nowMs = await catalogue.nowMs();
    for (const agent of await listAgents(catalogue)) {
      if (!connected.has(agent.name) && this.#isLost(agent, nowMs)) await this.#tell(agent, nowMs);
    }
  }

  /** One that joined and was never started is nobody's loss. */
  #isLost({ facts, revokedAtMs, seenAtMs }: AgentRecord, nowMs: number): boolean {
    if (facts.lost === true || revokedAtMs !== undefined || seenAtMs === undefined) return false;
    return nowMs - seenAtMs > this.#lostMs;
  }

  async #tell({ name, seenAtMs = 0, facts }: AgentRecord, nowMs: number): Promise<void> {
    const { catalogue } = this.#options;
    await markLost(catalogue, name);
    const minutes = Math.round((nowMs - seenAtMs) / 60_000);
    await recordHappening(catalogue, {
      type: 'agent.lost',
      title: `the agent «${name}» has not been heard of for ${minutes} minutes`,
      message: 'Nothing that is on its machine is backed up until it is back.',
      remedy: 'Check that the machine is up, that «holdfast agent run» runs there, and that it reaches this server.',
      facts: { agent: name, ...(typeof facts.hostname === 'string' ? { hostname: facts.hostname } : {}) },
    });
  }
}
