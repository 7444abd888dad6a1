import type { Command } from 'commander';
import { formatDuration } from '../../base/bytes.ts';
import { parseInstant } from '../../base/clock.ts';
import type { SourceState, StatusOutput } from '../../operations/status/status.ts';
import type { Face } from '../face.ts';
import { withServed } from '../served.ts';
import { counted, localTime, table } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('status')
    .description('what is not safely restorable now, and why (exit status 1 if anything)')
    .option('--only <what>', 'concerns: leave out what is safe')
    .option('--ask', 'ask the repositories themselves, also while a server runs here')
    .action(async ({ ask = false, ...options }: { ask?: boolean }) => {
      const { status } = await import('../../operations/status/status.ts');
      await withServed(face, ask, async (uses) => {
        await face.perform(status, options, uses, { text: describe, wrong: (output) => !output.ok });
      });
    });
}

export function describe(output: StatusOutput): string {
  const faulty = output.repositories
    .filter((one) => !one.ok)
    .map((one) => `✗ repository ${one.name}: ${one.message}\n    ${one.remedy}`);
  const wrong = output.sources.filter((one) => !one.ok);
  const right = output.sources.filter((one) => one.ok);
  const states = output.counts?.states ?? output.sources.length;
  if (states === 0) return [...faulty, 'no source is declared: nothing is protected'].join('\n');
  const parts = [faulty, wrong.map(describeWrong), right.map(describeRight), describeRepositories(output)];
  return [...parts.flat(), ...output.elsewhere.map(describeElsewhere), summaryOf(output)].join('\n');
}

/** Of sources: one in two repositories is one. */
function summaryOf({ ok, counts, sources }: StatusOutput): string {
  const states = counts?.states ?? sources.length;
  const total = counts?.sources ?? new Set(sources.map(({ source }) => source)).size;
  const places = states > total ? ' from each of their repositories' : '';
  if (ok) return `everything declared can be restored${places}, as far as was proven: ${counted(total, 'source')}`;
  const unsafe = counts?.unsafeSources ?? new Set(sources.flatMap((one) => (one.ok ? [] : [one.source]))).size;
  return `${unsafe} of ${counted(total, 'source')} not safely restorable${places}`;
}

function describeRepositories({ repositories }: StatusOutput): string[] {
  const rows = table(repositories, [
    { title: 'REPOSITORY', value: (one) => one.name },
    { title: 'STATE', value: (one) => (one.awaySince ? `away since ${shortTime(one.awaySince)}` : wordOf(one)) },
    { title: 'NOT COPIED YET', align: 'right', value: (one) => String(one.missing ?? '') },
    { title: 'LAST COPY', value: describeLastCopy },
    { title: 'LAST CHECK', value: describeLastCheck },
  ]);
  return ['', rows, ''];
}

/** Why it cannot be read, in a word or two; the whole of it stands above. */
function wordOf({ state, code = '' }: StatusOutput['repositories'][number]): string {
  return state === 'unreadable' ? (troubles[code] ?? state) : state;
}

const troubles: Readonly<Record<string, string>> = {
  'repository.wrong-password': 'wrong password',
  'secret.unavailable': 'no password',
  'storage.denied': 'no permission',
  'repository.damaged': 'damaged',
  'repository.unsupported': 'not supported',
};

function describeLastCopy({ lastCopy }: StatusOutput['repositories'][number]): string {
  if (!lastCopy) return '';
  const outcome = lastCopy.ok ? `${counted(lastCopy.copied, 'snapshot')} from ${lastCopy.from}` : 'FAILED';
  return `${shortTime(lastCopy.time)} ${outcome}`;
}

function describeLastCheck({ lastCheck }: StatusOutput['repositories'][number]): string {
  if (!lastCheck) return '';
  const { data, errors, ok } = lastCheck;
  const read = data && { none: 'structure only', part: 'part of the data', all: 'all data' }[data];
  const found = ok
    ? (read ?? 'sound')
    : [errors === undefined ? 'FAULTS' : counted(errors, 'ERROR'), read].filter(Boolean).join(', ');
  return `${shortTime(lastCheck.time)} ${found}`;
}

function shortTime(instant: string): string {
  return localTime(parseInstant(instant) ?? 0).slice(0, 16);
}

function describeElsewhere({ source, repository, snapshots }: StatusOutput['elsewhere'][number]): string {
  const left = `${repository} holds ${counted(snapshots, 'snapshot')} of ${source}, which is not stored there any more`;
  return `note: ${left}: nothing moves or removes them by itself`;
}

function describeWrong(state: SourceState): string {
  const concerns = state.concerns.map((one) => `    ${one.message}\n      → ${one.remedy}`);
  return [`✗ ${state.source} in ${state.repository}`, ...concerns].join('\n');
}

function describeRight({ source, repository, newest, proof, keep, copies }: SourceState): string {
  const age = newest ? `newest snapshot ${formatDuration(Math.max(0, newest.ageMs))} old` : 'away';
  const kept = keep
    ? `, keeps ${Object.entries(keep)
        .map(([period, count]) => `${period} ${count}`)
        .join(', ')}`
    : '';
  const lag = copies?.missing ? `, ${counted(copies.missing, 'snapshot')} of ${copies.from} not copied yet` : '';
  const proven = proof
    ? `, proven ${formatDuration(Math.max(0, proof.ageMs))} ago, restored in ${formatDuration(proof.restoreMs)}`
    : '';
  return `✓ ${source} in ${repository}: ${age}${proven}${lag}${kept}`;
}
