/** Turns what happened into deliveries, each event once: with them the catalogue remembers how far it came. */

import { newestHappening } from '../../catalogue/happenings.ts';
import type { Catalogue, Database } from '../../catalogue/open.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import type { HoldfastEvent } from '../../model/event.ts';
import type { AnyChannelKind } from '../channel.ts';
import { insertDelivery, moveWaiting } from '../deliveries.ts';
import { type Decision, decide, quietRules, type Standing } from '../quieten.ts';
import { type ChannelPlan, type Routing, takes } from '../route.ts';
import { isTrouble, lasts, troubleKey } from '../subject.ts';

const bookmark = 'notifications';

export interface RouterParts {
  readonly catalogue: Catalogue;
  readonly kinds: readonly AnyChannelKind[];
  readonly workspacesOf: Routing['workspacesOf'];
  /** Default: those of a server. */
  readonly rules?: typeof quietRules;
}

/** Only one at a time may be at work on a catalogue. */
export class Router {
  readonly #parts: RouterParts;
  readonly #standing = new Map<string, Map<string, Standing>>();

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** Reads what stands. Gives the id of the last event that was decided on; before the first time, that of the newest one: nobody is told of what was before. */
  async begin(): Promise<string> {
    const { catalogue } = this.#parts;
    for (const { channel, trouble, document } of await catalogue.db.selectFrom('standing').selectAll().execute()) {
      this.#of(channel).set(trouble, JSON.parse(document) as Standing);
    }
    return (await decidedUpTo(catalogue)) ?? (await beginAtNewest(catalogue));
  }

  /** True if somebody is to be told. */
  async route(event: HoldfastEvent, plans: readonly ChannelPlan[]): Promise<boolean> {
    const { catalogue, rules: allRules = quietRules } = this.#parts;
    const chosen = this.#chosen(event, plans);
    const decisions = await inTransaction(catalogue, async ({ db, nowMs }) => {
      const made: { plan: ChannelPlan; decision: Decision }[] = [];
      // Somebody who took over while this one was asleep may have decided on it already.
      if (!(await advance(db, event.id))) return made;
      for (const plan of plans) {
        const rules = allRules[this.#kindOf(plan)?.audience ?? 'people'];
        const standing = this.#of(plan.name);
        const isTaken = chosen.includes(plan);
        const decision = decide(event, { nowMs, rules, isTaken, standing });
        await write(db, { event, channel: plan.name, decision });
        made.push({ plan, decision });
      }
      return made;
    });
    for (const { plan, decision } of decisions) this.#remember(plan.name, decision);
    return decisions.some(({ decision }) => decision.tell !== undefined);
  }

  /** How many troubles of the channel stand besides those of the events. */
  standingBeside(channel: string, events: readonly HoldfastEvent[]): number {
    const told = new Set(events.filter(isTrouble).map(troubleKey));
    return [...this.#of(channel).values()].filter((one) => lasts(one.event.type) && !told.has(one.trouble)).length;
  }

  /** That a channel is broken is told by the others in any case, whatever they are told otherwise. */
  #chosen(event: HoldfastEvent, plans: readonly ChannelPlan[]): readonly ChannelPlan[] {
    const { workspacesOf } = this.#parts;
    const chosen = plans.filter((plan) =>
      takes(plan, event, { workspacesOf, kindOn: this.#kindOf(plan)?.on?.(plan.settings) }),
    );
    if (event.type !== 'channel.failed' || chosen.length > 0) return chosen;
    const others = plans.filter((plan) => plan.name !== event.facts.channel);
    return others.filter((plan) => this.#kindOf(plan)?.audience === 'people');
  }

  #kindOf(plan: ChannelPlan): AnyChannelKind | undefined {
    return this.#parts.kinds.find((kind) => kind.name === plan.kind);
  }

  #of(channel: string): Map<string, Standing> {
    const known = this.#standing.get(channel) ?? new Map<string, Standing>();
    this.#standing.set(channel, known);
    return known;
  }

  #remember(channel: string, { stands, over }: Decision): void {
    for (const trouble of over) this.#of(channel).delete(trouble);
    if (stands) this.#of(channel).set(stands.trouble, stands);
  }
}

async function write(
  db: Database,
  { event, channel, decision }: { event: HoldfastEvent; channel: string; decision: Decision },
): Promise<void> {
  const { tell, stands, over, takes: taken, drops } = decision;
  if (over.length > 0) {
    await db
      .deleteFrom('standing')
      .where('channel', '=', channel)
      .where('trouble', 'in', [...over])
      .execute();
  }
  if (stands) {
    const document = JSON.stringify(stands);
    await db
      .insertInto('standing')
      .values({ channel, trouble: stands.trouble, document })
      .onConflict((conflict) => conflict.columns(['channel', 'trouble']).doUpdateSet({ document }))
      .execute();
  }
  await moveWaiting(db, { channel, troubles: drops });
  await moveWaiting(db, { channel, troubles: taken, dueAtMs: tell?.dueAtMs });
  if (!tell) return;
  const { dueAtMs, ...detail } = tell;
  await insertDelivery(db, { channel, trouble: stands?.trouble ?? null, dueAtMs, telling: { event, ...detail } });
}

/** The id of the last event that was decided on; `undefined` before the first time. */
export async function decidedUpTo({ db }: Catalogue): Promise<string | undefined> {
  const row = await db.selectFrom('bookmark').select('position').where('name', '=', bookmark).executeTakeFirst();
  return row?.position;
}

/** Before the first time: what happens from now on is told. Afterwards it changes nothing. Gives where it stands. */
export async function beginAtNewest(catalogue: Catalogue): Promise<string> {
  const position = await newestHappening(catalogue);
  await catalogue.db
    .insertInto('bookmark')
    .values({ name: bookmark, position })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  return (await decidedUpTo(catalogue)) ?? position;
}

/** False if the bookmark is there already, or beyond. */
async function advance(db: Database, position: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('bookmark')
    .set({ position })
    .where('name', '=', bookmark)
    .where('position', '<', position)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export async function setBookmark(db: Database, name: string, position: string): Promise<void> {
  await db
    .insertInto('bookmark')
    .values({ name, position })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ position }))
    .execute();
}
