/** What is not covered, or weakly: a judgement over what is declared and what was seen, each with its reason and a remedy. */
import type { DeclaredRepository, DeclaredSource, Gap, SeenMachine, SilentMachine } from './facts.ts';
import { unseenOn } from './unseen.ts';

export interface CoverageFacts {
  readonly sources: readonly DeclaredSource[];
  readonly repositories: readonly DeclaredRepository[];
  readonly seen: readonly SeenMachine[];
  readonly silent: readonly SilentMachine[];
  /** The policy that most sources use. */
  readonly policy?: string;
}

/** The worst first: what is not stored at all, what nobody could look at, what is stored weakly. Stable within. */
export function judgeCoverage(facts: CoverageFacts): Gap[] {
  const { sources, policy } = facts;
  const declared = { sources, policy, taken: new Set(sources.map(({ name }) => name)) };
  const gaps = [
    ...facts.seen.flatMap((seen) => [...unseenOn(seen, declared), ...incomplete(seen)]),
    ...sources.flatMap(gapsOfSource),
    ...facts.silent.map(gapOfSilence),
    ...facts.repositories.flatMap(gapsOfRepository),
  ];
  const order: readonly Gap['level'][] = ['uncovered', 'unknown', 'weak'];
  return gaps.toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

function gapsOfSource(source: DeclaredSource): Gap[] {
  const { name, copies } = source;
  const about = { subject: `source ${name}`, source: name };
  const gaps: Gap[] = [...gapsOfDatabases(source)];
  if (copies.length > 0 && copies.every((one) => one.isKnown && one.newestMs === undefined)) {
    const remedy = `holdfast backup ${name}`;
    gaps.push({
      ...about,
      kind: 'never-backed-up',
      level: 'uncovered',
      message: `${name} was never backed up`,
      remedy,
    });
  }
  if (!source.isScheduled) gaps.push({ ...about, ...unscheduled(source) });
  if (!source.isDrilled) gaps.push({ ...about, ...undrilled(source) });
  return [...gaps, ...copyGaps(source).map((one) => ({ ...about, ...one }))];
}

type Found = Omit<Gap, 'subject' | 'source'>;

function unscheduled({ name, policy }: DeclaredSource): Found {
  const message =
    policy === undefined
      ? `${name} has no policy: nothing backs it up by itself`
      : `the policy ${policy} of ${name} has no schedule`;
  const yaml = `policies:\n  ${policy ?? 'nightly'}: { schedule: "0 2 * * *" }\n`;
  return {
    kind: 'not-scheduled',
    level: 'weak',
    message,
    remedy: policy === undefined ? `Give the source a policy with a schedule: policy: nightly.` : `Give it a schedule.`,
    yaml: policy === undefined ? `sources:\n  ${name}: { policy: nightly }\n` : yaml,
  };
}

function undrilled({ name, policy }: DeclaredSource): Found {
  const message = `nothing tries to restore ${name} by itself: whether its backups are any good is found out too late`;
  const remedy = 'Give its policy a drill.';
  const yaml = `policies:\n  ${policy ?? 'nightly'}: { drill: { schedule: "0 6 * * 0" } }\n`;
  return { kind: 'not-drilled', level: 'weak', message, remedy, yaml };
}

/** Three copies, two media, one elsewhere: the source itself is the first of the three. */
function copyGaps({ name, machine, policy, copies }: DeclaredSource): Found[] {
  const names = copies.map((one) => one.repository).join(', ');
  const yaml = `policies:\n  ${policy ?? 'nightly'}: { repositories: [{ name: ${copies.at(0)?.repository ?? 'nas'} }, { name: another }] }\n`;
  if (copies.length > 0 && copies.every((one) => one.machine === machine)) {
    const message = `${name} is stored only on the machine it is on (${names}): fire, theft or ransomware take both`;
    const remedy =
      'Add a repository on another machine or in a bucket; backups are copied there, nothing is read twice.';
    return [{ kind: 'no-copy-elsewhere', level: 'weak', message, remedy, yaml }];
  }
  if (copies.length !== 1) return [];
  const message = `${name} is stored in one repository only (${names})`;
  const remedy = 'Add a second repository to its policy; backups are copied there, nothing is read twice.';
  return [{ kind: 'single-copy', level: 'weak', message, remedy, yaml }];
}

function gapsOfDatabases({ name, host, leftOut, silence }: DeclaredSource): Gap[] {
  const gaps = leftOut.map(
    (database): Gap => ({
      kind: 'database-left-out',
      level: 'uncovered',
      subject: `database ${database} beside ${name}`,
      host,
      source: name,
      message: `the server of ${name} has a database ${database} that is not backed up`,
      remedy: `Widen «databases» of ${name}, or declare a source for it.`,
      yaml: `sources:\n  ${name}: { databases: all }\n`,
    }),
  );
  if (silence === undefined) return gaps;
  const message = `the server of ${name} could not be asked which databases it has: ${silence}`;
  const remedy = `holdfast driver check ${name}`;
  return [
    ...gaps,
    { kind: 'not-asked', level: 'unknown', subject: `source ${name}`, host, source: name, message, remedy },
  ];
}

function gapOfSilence({ host, message, remedy }: SilentMachine): Gap {
  const told = `what is on ${host} is not known: ${message}`;
  return { kind: 'machine-silent', level: 'unknown', subject: `host ${host}`, host, message: told, remedy };
}

function incomplete({ host, isComplete }: SeenMachine): Gap[] {
  if (isComplete) return [];
  const message = `not everything on ${host} was seen in the time and number given: there may be more`;
  const remedy = 'Give it more time (--timeout), or name folders to search (--root).';
  return [{ kind: 'look-incomplete', level: 'unknown', subject: `host ${host}`, host, message, remedy }];
}

function gapsOfRepository({ name, isChecked, isPruned, hasRetention, isUsed }: DeclaredRepository): Gap[] {
  if (!isUsed) return [];
  const about = { level: 'weak', subject: `repository ${name}`, repository: name } as const;
  const gaps: Gap[] = [];
  if (!isChecked) {
    gaps.push({
      ...about,
      kind: 'not-checked',
      message: `nothing checks the repository ${name} by itself: damage is found when something is to be restored`,
      remedy: 'Give it a check.',
      yaml: `repositories:\n  ${name}: { check: { schedule: "0 7 1 * *", readAllWithin: 90d } }\n`,
    });
  }
  if (hasRetention && !isPruned) {
    gaps.push({
      ...about,
      kind: 'not-pruned',
      message: `nothing frees space in the repository ${name}: what retention removes stays on its disk`,
      remedy: 'Give it a prune.',
      yaml: `repositories:\n  ${name}: { prune: { schedule: "0 6 * * 0" } }\n`,
    });
  }
  return gaps;
}
