/** What a runbook says: the steps in their order, typed as they are. It holds no secret, and nothing in it is a placeholder. */
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import { shellWord } from '../../base/shell-word.ts';
import { type Block, heading, type Page, shell, text } from '../recovery-kit/document.ts';
import { recoveryFolder, restic, resticSession, stepBlocks } from '../recovery-kit/page.ts';
import type { PasswordPlace, RunbookCopy, RunbookFacts } from './facts.ts';

export function runbookPage(facts: RunbookFacts): Page {
  return {
    title: `Runbook: restore «${facts.source}»`,
    blocks: [
      text(
        `Made on ${facts.made} by ${facts.madeBy} from the newest snapshot and the last drill. It is right as long as the configuration`,
        'is: make it anew (holdfast runbook) when that changes, and keep a copy on another machine.',
      ),
      ...whatItIs(facts),
      ...howLong(facts),
      ...before(facts),
      ...withHoldfast(facts),
      ...withRestic(facts),
      ...compare(facts),
      ...otherPlaces(facts),
      ...trouble(facts),
    ],
  };
}

function whatItIs(facts: RunbookFacts): Block[] {
  const { driverTitle, hostname, paths, policy, schedule, drillSchedule, configFile } = facts;
  const rows: [string, string][] = [
    ['source', `${facts.source}: ${driverTitle}, ${paths.join(', ')} on ${hostname}`],
    ['declared in', configFile],
    [
      'backed up',
      policy === undefined
        ? 'when somebody does it'
        : `by the policy ${policy}${schedule === undefined ? ', without a schedule' : `, ${schedule}`}`,
    ],
    ['restored on trial', drillSchedule ?? 'when somebody does it'],
    ...facts.copies.map((copy): [string, string] => [`in ${copy.repository}`, describeCopy(copy)]),
    ...facts.missing.map(({ repository, reason }): [string, string] => [
      `in ${repository}`,
      `NOTHING TO RESTORE FROM: ${reason}`,
    ]),
  ];
  return [heading('What it is'), { kind: 'facts', rows }];
}

function describeCopy({ url, snapshot, time, snapshots, bytes, files, password }: RunbookCopy): string {
  const size = bytes === undefined ? '' : `, ${formatBytes(bytes)}${files === undefined ? '' : ` in ${files} files`}`;
  const which = `the newest of ${snapshots} snapshots is ${snapshot.slice(0, 16)} of ${time}${size}`;
  return `${url}; ${which}; its password is in ${password.words}`;
}

function howLong({ proof, copies }: RunbookFacts): Block[] {
  if (!proof) {
    return [
      heading('How long it takes'),
      text('Not known: no snapshot of it was ever restored. Find out with: holdfast drill.'),
    ];
  }
  const { verdict, time, restoreMs, restoredBytes, checksTotal, checksFailed, repository, snapshot } = proof;
  const which = `the snapshot ${snapshot.slice(0, 16)} from ${repository}`;
  if (verdict === 'failed') {
    const why = proof.error ?? `${checksFailed} of ${checksTotal} comparisons failed`;
    return [
      heading('How long it takes'),
      text(
        `THE LAST DRILL FAILED, on ${time}, with ${which}: ${why}. Try an older snapshot beside the present state before you rely on it.`,
      ),
    ];
  }
  const bytes = copies[0].bytes ?? restoredBytes;
  const expectedMs = restoredBytes > 0 ? Math.max(restoreMs, (restoreMs * bytes) / restoredBytes) : restoreMs;
  return [
    heading('How long it takes'),
    text(
      `About ${formatDuration(expectedMs)}. Measured on ${time}: ${which} (${formatBytes(restoredBytes)}) was restored in ${formatDuration(restoreMs)}`,
      `and compared in ${formatDuration(proof.compareMs)}; all ${checksTotal} comparisons with what the backup recorded were equal.`,
      'A slower network or disk than that of the drill takes longer.',
    ),
  ];
}

function before({ stops, words }: RunbookFacts): Block[] {
  const running =
    stops.length === 0
      ? []
      : [text(`Backups stop this meanwhile, and a restore needs it to stand still, too: ${stops.join(', ')}.`)];
  return [
    heading('1. Before'),
    text(
      'Do not delete anything that is still there: what is broken may hold what the last backup does not. Restore beside it first, look, then put it in place.',
    ),
    ...running,
    ...stepBlocks(words.before),
  ];
}

function withHoldfast({ source, copies: [copy], words, configFile }: RunbookFacts): Block[] {
  const name = shellWord(source);
  const at = `--repository ${shellWord(copy.repository)}`;
  const id = copy.snapshot.slice(0, 16);
  const beside = words.beside && [
    text('Beside what is there, which stays as it is:'),
    shell(`holdfast restore ${id} ${at} --to ${words.beside.to}`),
    ...stepBlocks(words.beside.look),
  ];
  return [
    heading('2. With Holdfast'),
    text(
      `In the folder of ${configFile}, on a machine that has it. On one that has nothing, first: «holdfast init --from ${shellWord(copy.url)}».`,
      `The steps name the newest snapshot of today; «holdfast snapshots ${source}» lists all, and ${source}@2026-11-20T03:00Z is the newest one of that moment.`,
    ),
    ...(beside ? [text('Room for it:'), shell('mkdir -p "$HOME/recovery"'), ...beside] : []),
    text('What would be done, and nothing else:'),
    shell(`holdfast restore ${id} ${at} --in-place --dry-run`),
    text('Back to where it came from:'),
    shell(`holdfast restore ${id} ${at} --in-place`),
    ...stepBlocks(words.look),
    text('Then start what was stopped, and see that backups go on:'),
    shell(`holdfast backup ${name}`, `holdfast drill ${name} ${at}`),
  ];
}

function withRestic({ source, copies: [copy], native }: RunbookFacts): Block[] {
  const folder = recoveryFolder(`${source}-by-restic`);
  return [
    heading('3. Without Holdfast'),
    ...resticSession(copy.access, passwordBlocks(copy.password)),
    text('The newest snapshot of today; «restic snapshots» lists all:'),
    shell(restic(copy.access, `restore ${copy.snapshot.slice(0, 16)} --target ${folder}`), `cd ${folder}`),
    ...stepBlocks(native),
  ];
}

function passwordBlocks({ words, shell: line }: PasswordPlace): Block[] {
  if (line === undefined) {
    return [
      text(`The password of the repository, which is in ${words}; type it after this line, then press Enter:`),
      shell('IFS= read -r RESTIC_PASSWORD && export RESTIC_PASSWORD'),
    ];
  }
  return [
    text(
      `The password of the repository is in ${words}. Where that is lost it is on the recovery kit; then type it: read -r RESTIC_PASSWORD && export RESTIC_PASSWORD.`,
    ),
    shell(line),
  ];
}

function compare({ expected, expectedTotal, copies: [copy] }: RunbookFacts): Block[] {
  const title = heading('4. What has to be there');
  if (expected.length === 0) {
    const { bytes = 0, files } = copy;
    return [
      title,
      text(`${files === undefined ? '' : `${files} files, `}${formatBytes(bytes)} in all, as the backup counted them.`),
    ];
  }
  const more =
    expectedTotal > expected.length
      ? ` (${expected.length} of ${expectedTotal}; all are in .holdfast/fingerprint.json of the snapshot)`
      : '';
  return [
    title,
    text(`The backup recorded, of the same moment as its data${more}:`),
    { kind: 'facts', rows: expected.map(({ subject, measure, value }) => [`${subject}, ${measure}`, value]) },
  ];
}

function otherPlaces({ source, copies }: RunbookFacts): Block[] {
  return copies
    .slice(1)
    .flatMap((copy, i) => [
      heading(`If ${copies[i].repository} is gone: ${copy.repository}`),
      text(
        `The same steps, with this repository and its newest snapshot, ${copy.snapshot.slice(0, 16)} of ${copy.time}. With Holdfast:`,
      ),
      shell(
        `holdfast restore ${copy.snapshot.slice(0, 16)} --repository ${shellWord(copy.repository)} --in-place --dry-run`,
      ),
      text(`Without Holdfast, in the place of the boxes above:`),
      ...passwordBlocks(copy.password),
      shell(
        ...copy.access.env
          .filter(({ value }) => value !== undefined)
          .map(({ name, value }) => `export ${name}="${value}"`),
        `export RESTIC_REPOSITORY="${copy.access.repository.replace(/[\\"`]/g, '\\$&')}"`,
        restic(
          copy.access,
          `restore ${copy.snapshot.slice(0, 16)} --target ${recoveryFolder(`${source}-from-${copy.repository}`)}`,
        ),
      ),
    ]);
}

function trouble({ source, copies: [copy] }: RunbookFacts): Block[] {
  return [
    heading('If it does not work'),
    text(
      `An older snapshot: «holdfast snapshots ${source}», then its id in the steps above.`,
      `Damage in the repository: «holdfast repo check ${copy.repository} --read-data» names the snapshots it concerns; see the page on repair.`,
      'No configuration: «holdfast init --from» reads it from the repository. No password: the recovery kit has it; without it nobody can help.',
    ),
  ];
}
