/** Gathers what a runbook says from where it is true: the newest snapshots, their facts, and the last drill. */
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { shellWord } from '../../base/shell-word.ts';
import { programVersion } from '../../base/version.ts';
import type { RepositoryEntry, SourceEntry } from '../../config/index.ts';
import type { AnyDriver, RunbookWords, SnapshotContents } from '../../drivers/driver.ts';
import { openContents } from '../../engine/open-contents.ts';
import { type Fact, parseFingerprint } from '../../model/fingerprint.ts';
import type { StoredProof } from '../../model/proof.ts';
import { driverOf, factsFolder, isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { titleOf } from '../../model/window.ts';
import { listProofs, listSnapshots } from '../../repository/index.ts';
import { redactUrl } from '../../storage/open.ts';
import { describeError } from '../describe-error.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { recoveryFolder } from '../recovery-kit/page.ts';
import { accessTo, placeText } from '../recovery-kit/recovery-kit.ts';
import { type NamedRepository, openNamed } from '../repositories/repository-access.ts';
import { driverNamed } from '../sources/source-access.ts';
import type { PasswordPlace, RunbookCopy, RunbookFacts, RunbookProof } from './facts.ts';

type Uses = SourceAccess & Execution;

/** Facts of a fingerprint that a page shows, and bytes of one that are read. */
const mostExpected = 20;
const mostFingerprintBytes = 64 << 20;

const noWords: RunbookWords = { before: [], look: [] };

interface Place {
  readonly opened: NamedRepository;
  readonly newest: StoredSnapshot;
  readonly snapshots: number;
  readonly proofs: readonly StoredProof[];
}

/** `snapshot.unknown` if no repository that answers has a snapshot of it. */
export async function gather(source: SourceEntry, uses: Uses): Promise<RunbookFacts> {
  await using open = new AsyncDisposableStack();
  const missing: RunbookFacts['missing'][number][] = [];
  const places: Place[] = [];
  for (const { repository } of source.placements) {
    const place = await lookInto(repository, source, uses, open);
    if (typeof place === 'string') missing.push({ repository, reason: place });
    else places.push(place);
  }
  // The page is about the newest there is, and of equally new ones about that of the first repository.
  places.sort((a, b) => b.newest.timeMs - a.newest.timeMs);
  const [first] = places;
  if (first === undefined) throw nothingToTell(source, missing);
  // What is in a snapshot is known by the driver that made it, whatever the source is declared as now.
  const driver = driverNamed(uses.drivers, driverOf(first.newest) ?? source.driver);
  return {
    ...generalFacts(source, first, driver, uses),
    ...(await contentFacts(source, first, driver, uses)),
    copies: places.map((place) => copyOf(place, uses)),
    missing,
    proof: lastProof(places),
  };
}

/** What is there, or why nothing can be said. */
async function lookInto(
  repository: string,
  source: SourceEntry,
  uses: Uses,
  open: AsyncDisposableStack,
): Promise<Place | string> {
  try {
    const opened = open.use(await openNamed(repository, uses));
    const [all, proofs] = await Promise.all([
      listSnapshots(opened.repository, uses.signal),
      listProofs(opened.repository, uses.signal),
    ]);
    const own = all.filter((one) => sourceOf(one) === source.name && !isState(one));
    const newest = own.at(-1);
    if (!newest) return 'it holds no snapshot of it';
    return { opened, newest, snapshots: own.length, proofs: proofs.filter((one) => one.source === source.name) };
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    return describeError(error).message;
  }
}

function generalFacts(source: SourceEntry, { newest }: Place, driver: AnyDriver, { config, clock }: Uses) {
  const policy = config.policies.get(source.policy ?? '');
  const stops = source.window?.before.flatMap((step) => ('stop' in step ? [titleOf(step.stop)] : [])) ?? [];
  return {
    ...{ source: source.name, driver: driver.name, driverTitle: driver.title },
    hostname: newest.hostname ?? 'an unknown host',
    paths: newest.paths,
    policy: policy?.name,
    schedule: scheduleText(policy),
    drillSchedule: policy?.drill && scheduleText(policy.drill),
    stops,
    made: shortTime(clock.nowMs()),
    madeBy: `Holdfast ${programVersion}`,
    configFile: config.file,
  };
}

function scheduleText(
  plan: { readonly schedule?: string; readonly everyMs?: number; readonly after: readonly string[] } | undefined,
): string | undefined {
  if (plan?.schedule !== undefined) return `at «${plan.schedule}»`;
  if (plan?.everyMs !== undefined) return `every ${Math.round(plan.everyMs / 60_000)} min`;
  return plan === undefined || plan.after.length === 0 ? undefined : `after ${plan.after.join(', ')}`;
}

async function contentFacts(source: SourceEntry, { opened, newest }: Place, driver: AnyDriver, uses: Uses) {
  const { report, signal } = uses;
  const { repository } = opened;
  await using held = await openContents({ repository, snapshot: newest, host: uses.localHost(), report, signal });
  const { contents } = held;
  const place = recoveryFolder(source.name);
  const [words, native, expected] = [
    (driver.name === source.driver ? await driver.runbook?.(source.settings, contents, place) : undefined) ?? noWords,
    await driver.nativeSteps(contents),
    await readExpected(contents),
  ];
  return { words, native, expected: chosenFacts(expected), expectedTotal: expected.length };
}

/** What the backup recorded; nothing where there is no fingerprint, or one too large to read for a page. */
async function readExpected(contents: SnapshotContents): Promise<readonly Fact[]> {
  const path = `/${factsFolder}/fingerprint.json`;
  const node = await contents.node(path);
  if (!node || node.size > mostFingerprintBytes) return [];
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(Uint8Array.from(part));
  return parseFingerprint(Buffer.concat(parts).toString('utf8'))?.facts ?? [];
}

/** What a person can count comes first; digests say nothing to a reader. */
function chosenFacts(facts: readonly Fact[]): readonly Fact[] {
  return facts.filter(({ value }) => /^\d{1,18}$/.test(value) || value === 'ok').slice(0, mostExpected);
}

function copyOf({ opened, newest, snapshots }: Place, uses: Uses): RunbookCopy {
  const { entry } = opened;
  return {
    repository: entry.name,
    url: redactUrl(entry.url),
    snapshot: newest.id,
    time: shortTime(newest.timeMs),
    snapshots,
    bytes: newest.summary?.totalBytesProcessed,
    files: newest.summary?.totalFilesProcessed,
    access: accessTo(entry, uses),
    password: passwordPlace(entry),
  };
}

/** Names where it is, never what it is. */
function passwordPlace(entry: RepositoryEntry): PasswordPlace {
  const { password } = entry;
  const words = placeText(entry);
  if (password.from === 'file') return { words, shell: `export RESTIC_PASSWORD_FILE=${shellWord(password.path)}` };
  if (password.from === 'env') return { words, shell: `export RESTIC_PASSWORD="$${password.name}"` };
  return { words };
}

function lastProof(places: readonly Place[]): RunbookProof | undefined {
  const all = places.flatMap(({ opened, proofs }) => proofs.map((proof) => ({ proof, repository: opened.name })));
  const last = all.toSorted((a, b) => a.proof.startedAtMs - b.proof.startedAtMs).at(-1);
  if (!last) return undefined;
  const { snapshot, verdict, restoreMs, compareMs, restoredBytes, checksTotal, checksFailed, error } = last.proof;
  return {
    ...{
      repository: last.repository,
      snapshot,
      verdict,
      restoreMs,
      compareMs,
      restoredBytes,
      checksTotal,
      checksFailed,
    },
    time: shortTime(last.proof.startedAtMs),
    ...(error ? { error: error.message } : {}),
  };
}

function shortTime(ms: number): string {
  return `${formatInstant(ms).slice(0, 16).replace('T', ' ')} UTC`;
}

function nothingToTell({ name }: SourceEntry, missing: RunbookFacts['missing']): HoldfastError {
  const reasons = missing.map(({ repository, reason }) => `${repository}: ${reason}`).join('; ');
  return new HoldfastError({
    code: 'snapshot.unknown',
    message: `there is nothing to restore «${name}» from: ${reasons}`,
    remedy: `Back it up first: holdfast backup ${name}`,
  });
}
