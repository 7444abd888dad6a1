/**
 * A drill: restore a snapshot into a throwaway place, compare it with what the backup recorded, judge, tear down. The
 * result is a proof, whether it passed or failed; only cancelling leaves none.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, hasCode, messageOf } from '../base/errors.ts';
import { programVersion } from '../base/version.ts';
import type { AnyDriver, SnapshotContents, SourceContext, Throwaway } from '../drivers/driver.ts';
import type { ContainerEngine } from '../hosts/host.ts';
import type { Assertion } from '../model/assertion.ts';
import { type Check, type Fingerprint, parseFingerprint } from '../model/fingerprint.ts';
import type { Proof } from '../model/proof.ts';
import { factsFolder, type StoredSnapshot } from '../model/snapshot.ts';
import { checkAssertions } from './assertions.ts';

/** Checks kept in a proof, failed ones first: enough to read, never unbounded. */
const mostChecks = 200;
/** A fingerprint is a list of facts about tables or the like; more than this is not one. */
const mostFingerprintBytes = 64 << 20;

export interface DrillRequest {
  readonly driver: AnyDriver;
  readonly source: SourceContext<unknown>;
  readonly snapshot: StoredSnapshot;
  readonly contents: SnapshotContents;
  readonly containers?: ContainerEngine;
  /** What the user says must be true of the copy, beside what the backup recorded. */
  readonly assertions?: readonly Assertion[];
  /** Where the throwaway directory is made; the system's temporary folder by default. */
  readonly place?: string;
}

/** Restores and compares; the throwaway is gone when this resolves or rejects. Rejects only with `cancelled` or when the throwaway cannot be made. */
export async function drill(request: DrillRequest): Promise<Proof> {
  const { source, snapshot } = request;
  const { clock } = source;
  const startedAtMs = clock.nowMs();
  const throwaway = { ...(await openThrowaway(request)), containers: request.containers };
  const facts = {
    format: 1,
    source: source.name,
    driver: request.driver.name,
    snapshot: snapshot.id,
    snapshotTime: snapshot.time,
    startedAtMs,
    host: source.host.hostname,
    programVersion,
  } as const;
  const measured: Measured = { restoreMs: 0, compareMs: 0, restoredBytes: 0 };
  try {
    const checks = await restoreAndCompare(request, throwaway, measured);
    return { ...facts, ...measured, ...judge(checks) };
  } catch (error) {
    if (hasCode(error, 'cancelled') || source.signal.aborted) throw error;
    return { ...facts, ...measured, ...judge([]), error: describe(error) };
  } finally {
    await rm(throwaway.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Filled as the drill goes on: a proof of failure says how far it came. */
interface Measured {
  restoreMs: number;
  compareMs: number;
  restoredBytes: number;
  instance?: string;
}

async function restoreAndCompare(
  { driver, source, contents, assertions = [] }: DrillRequest,
  throwaway: Throwaway,
  measured: Measured,
): Promise<Check[]> {
  const { clock, report } = source;
  const expected = await readFingerprint(contents);
  report({ type: 'stage', stage: 'restore', subject: source.name });
  const restoreStartMs = clock.monotonicMs();
  await using copy = await driver.restoreThrowaway(source, contents, throwaway);
  measured.restoreMs = clock.monotonicMs() - restoreStartMs;
  measured.restoredBytes = copy.bytes;
  if (copy.instance !== undefined) measured.instance = copy.instance;
  report({ type: 'stage', stage: 'compare', subject: source.name });
  const compareStartMs = clock.monotonicMs();
  const checks = await copy.compare(expected);
  measured.compareMs = clock.monotonicMs() - compareStartMs;
  // Assertions add to the comparison, they do not stand in for one that found nothing to compare.
  if (checks.length === 0 || assertions.length === 0) return checks;
  report({ type: 'stage', stage: 'assert', subject: source.name });
  return [...(await checkAssertions(assertions, { copy, source, throwaway })), ...checks];
}

/** Nothing compared is nothing proven: no checks is a failure. */
function judge(checks: readonly Check[]): Pick<Proof, 'verdict' | 'checksTotal' | 'checksFailed' | 'checks'> {
  const failed = checks.filter((check) => !check.ok);
  const passed = checks.filter((check) => check.ok);
  return {
    verdict: checks.length > 0 && failed.length === 0 ? 'passed' : 'failed',
    checksTotal: checks.length,
    checksFailed: failed.length,
    checks: [...failed, ...passed].slice(0, mostChecks),
  };
}

async function openThrowaway({ place = tmpdir(), source }: DrillRequest): Promise<Throwaway> {
  try {
    return { directory: await mkdtemp(join(place, 'holdfast-drill-')), host: source.local };
  } catch (cause) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `a throwaway directory cannot be made in ${place}: ${messageOf(cause)}`,
      remedy: 'Give a directory with enough room, for example: holdfast drill SOURCE --place /var/tmp',
      cause,
    });
  }
}

async function readFingerprint(contents: SnapshotContents): Promise<Fingerprint | undefined> {
  const path = `/${factsFolder}/fingerprint.json`;
  const node = await contents.node(path);
  if (!node) return undefined;
  const parts: Uint8Array[] = [];
  if (node.size > mostFingerprintBytes) throw damagedFingerprint(contents);
  for await (const part of contents.read(path)) parts.push(part);
  const fingerprint = parseFingerprint(Buffer.concat(parts).toString('utf8'));
  if (!fingerprint) throw damagedFingerprint(contents);
  return fingerprint;
}

function damagedFingerprint(contents: SnapshotContents): HoldfastError {
  return new HoldfastError({
    code: 'drill.failed',
    message: `the fingerprint in snapshot ${contents.id.slice(0, 8)} is not one this version reads`,
    remedy: 'Back the source up again; drills of the new snapshot will have a fingerprint to compare with.',
  });
}

function describe(error: unknown): NonNullable<Proof['error']> {
  if (error instanceof HoldfastError) return { code: error.code, message: error.message, remedy: error.remedy };
  return { code: 'internal', message: messageOf(error), remedy: 'Please report this with the message.' };
}
