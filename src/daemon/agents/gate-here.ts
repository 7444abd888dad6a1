/** The gate of this server, as its configuration says: the authority of its state directory, and runs of its sources. */
import { openAuthority } from '../../auth/agents/authority.ts';
import { hasAgents } from '../../auth/agents/enrolment.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { stateDirectory } from '../../base/state-directory.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { SourceAccess } from '../../operations/operation.ts';
import type { Execute } from '../../runs/execute.ts';
import type { Runs } from '../../runs/start-runs.ts';
import { AgentGate, type GateOptions } from './gate.ts';
import { keepStates } from './keep-states.ts';
import { agentOf, performedBy, workOf } from './work.ts';

export interface GateHereOptions extends Pick<GateOptions, 'timing'> {
  /** Of this server; they begin after the gate, for they need it. An agent that comes earlier waits for them. */
  readonly runs: Promise<Pick<Runs, 'resume'>>;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Log;
  /** As it is now. */
  readonly access: () => SourceAccess;
  /** `server: agents:`. */
  readonly settings: Pick<GateOptions, 'listen' | 'names'>;
}

export interface GateHere extends AsyncDisposable {
  readonly port: number;
  readonly connected: readonly string[];
  /** How a run is performed that an agent performs; `undefined` for all others. For `startRunsHere`. */
  readonly elsewhere: (run: RunRecord) => Execute | undefined;
}

/** Listens when it returns. `host.unreachable`, `secret.unavailable`. */
export async function openGateHere(options: GateHereOptions): Promise<GateHere> {
  const { catalogue, clock, log, access, settings, runs, timing } = options;
  const authority = await openAuthority({
    directory: stateDirectory(access().env),
    nowMs: clock.nowMs(),
    mayMake: async () => !(await hasAgents(catalogue)),
  });
  const resume: GateOptions['resume'] = async (hold) => (await runs).resume(hold);
  const work = (run: RunRecord, signal: AbortSignal) => workOf(run, access(), signal);
  const gate = await AgentGate.open({ catalogue, clock, log, authority, ...settings, work, resume, timing });
  const execute: Execute = async (run, uses) => {
    const performed = performedBy(run, await gate.execute(run, uses), access());
    if (run.kind === 'backup') await keepStates(performed, { ...access(), ...uses });
    return performed;
  };
  return {
    port: gate.port,
    get connected() {
      return gate.connected;
    },
    elsewhere: (run) => (agentOf(run, access()) === undefined ? undefined : execute),
    [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose](),
  };
}
