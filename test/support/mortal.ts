/**
 * Parts of a process that can be killed at any await: from then on nothing they began goes on. Statements they are about to
 * send are not sent, answers to those that were sent do not come, their timers do not fire.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type {
  KyselyPlugin,
  PluginTransformQueryArgs,
  PluginTransformResultArgs,
  QueryResult,
  RootOperationNode,
  UnknownRow,
} from 'kysely';
import type { Clock } from '../../src/base/clock.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';

export interface Mortal {
  readonly name: string;
  isDead: boolean;
  /** Statements it may still send; then it dies, before the last one or after it. */
  statementsLeft: number;
  diesAfter: boolean;
  /** Called at its death. */
  onDeath: () => void;
}

const living = new AsyncLocalStorage<Mortal>();

export function mortal(name: string, onDeath: () => void): Mortal {
  return { name, isDead: false, statementsLeft: Number.POSITIVE_INFINITY, diesAfter: false, onDeath };
}

/** Everything that `work` begins belongs to it. */
export function liveAs<Result>(one: Mortal, work: () => Result): Result {
  return living.run(one, work);
}

export function kill(one: Mortal): void {
  if (one.isDead) return;
  one.isDead = true;
  one.onDeath();
}

export function currentMortal(): Mortal | undefined {
  return living.getStore();
}

export const never = new Promise<never>(() => undefined);

export function mortalClock(clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    async sleep(ms, options) {
      const one = living.getStore();
      if (one?.isDead) return await never;
      try {
        await clock.sleep(ms, options);
      } finally {
        if (one?.isDead) await never;
      }
    },
  };
}

/** The same catalogue, whose statements die with who sends them. */
export function mortalCatalogue(catalogue: Catalogue): Catalogue {
  return {
    ...catalogue,
    db: catalogue.db.withPlugin(new DeathPlugin()),
    nowMs: async () => await afterDeath(catalogue.nowMs()),
  };
}

async function afterDeath<T>(answer: Promise<T>): Promise<T> {
  const one = living.getStore();
  const given = await answer;
  return one?.isDead ? await never : given;
}

class DeathPlugin implements KyselyPlugin {
  transformQuery({ node }: PluginTransformQueryArgs): RootOperationNode {
    const one = living.getStore();
    if (!one) return node;
    if (one.isDead) throw new Error(`${one.name} is dead`);
    if (one.statementsLeft-- <= 0 && !one.diesAfter) {
      kill(one);
      throw new Error(`${one.name} died before a statement`);
    }
    return node;
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    const one = living.getStore();
    if (one && !one.isDead && one.diesAfter && one.statementsLeft < 0) {
      kill(one);
      throw new Error(`${one.name} died after a statement`);
    }
    if (one?.isDead) throw new Error(`${one.name} is dead`);
    return result;
  }
}
