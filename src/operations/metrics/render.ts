/** Figures as text for Prometheus (exposition format 0.0.4). */
import { setImmediate } from 'node:timers/promises';
import { parseInstant } from '../../base/clock.ts';
import { programVersion } from '../../base/version.ts';
import type { EndedRun, LastRuns } from '../../catalogue/last-runs.ts';
import type { Config } from '../../config/index.ts';
import { runKinds, runStates } from '../../model/run-record.ts';
import type { SourceState, StatusOutput } from '../status/view.ts';
import { collect, type MetricFigures, type MetricUses, type ServerFigures } from './figures.ts';
import { type MetricName, metricNames } from './names.ts';

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Others have their turn in between. */
const sourcesAtOnce = 250;

/** All metrics as they are now. Memory: the whole text, about 2 KB for each source and repository. */
export async function renderMetrics(uses: MetricUses): Promise<string> {
  return await render(await collect(uses));
}

export async function render(figures: MetricFigures): Promise<string> {
  const page = new Page();
  const { nowMs, config, state, server } = figures;
  page.set('holdfast_build_info', 1, { version: programVersion });
  page.set('holdfast_collected_timestamp_seconds', nowMs / 1000);
  await inTurns(page, config.sources.values(), ({ name, driver, host, policy }) => {
    page.set('holdfast_source_info', 1, { source: name, driver, host, policy: policy ?? '' });
  });
  await inTurns(page, state.sources, (source) => setSource(page, source, nowMs));
  setRepositories(page, state);
  if (server) {
    await setServer(page, server, nowMs);
    await setLastRuns(page, server.last, config);
  }
  return page.text();
}

async function inTurns<Item>(page: Page, items: Iterable<Item>, set: (item: Item) => void): Promise<void> {
  let done = 0;
  for (const item of items) {
    set(item);
    if (++done % sourcesAtOnce !== 0) continue;
    page.settle();
    await setImmediate();
  }
}

type Labels = Readonly<Record<string, string>>;

/** Of one metric: its lines, and the text that earlier ones have become. */
interface Family {
  text: string;
  lines: string[];
}

/** Families in the order of their first value; one without any is left out. */
class Page {
  readonly #families = new Map<MetricName, Family>();

  set(name: MetricName, value: number | undefined, labels: Labels = {}): void {
    if (value === undefined || !Number.isFinite(value)) return;
    const family = this.#families.get(name) ?? { text: '', lines: [] };
    this.#families.set(name, family);
    const given = metricNames[name].labels.map((label) => `${label}="${escaped(labels[label] ?? '')}"`);
    family.lines.push(`${name}${given.length === 0 ? '' : `{${given.join(',')}}`} ${value}\n`);
  }

  /** Lines become text: a few long strings take half the memory of a quarter of a million short ones. */
  settle(): void {
    for (const family of this.#families.values()) {
      if (family.lines.length === 0) continue;
      family.text += family.lines.join('');
      family.lines = [];
    }
  }

  text(): string {
    this.settle();
    const about = (name: MetricName): string => `# HELP ${name} ${metricNames[name].help}\n# TYPE ${name} gauge\n`;
    return [...this.#families].map(([name, { text }]) => about(name) + text).join('');
  }
}

/** As the format wants values of labels. */
function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (sign) => (sign === '\n' ? '\\n' : `\\${sign}`));
}

function setSource(page: Page, state: SourceState, nowMs: number): void {
  const labels = { source: state.source, repository: state.repository };
  const { newest, proof, proven, expected, copies } = state;
  page.set('holdfast_source_safe', state.ok ? 1 : 0, labels);
  page.set('holdfast_source_snapshots', state.snapshots, labels);
  page.set('holdfast_source_recovery_point_limit_seconds', expected.snapshotMs / 1000, labels);
  page.set(
    'holdfast_source_proof_limit_seconds',
    expected.proofMs === undefined ? undefined : expected.proofMs / 1000,
    labels,
  );
  page.set('holdfast_source_copies_behind', copies?.behind, labels);
  if (newest) {
    page.set('holdfast_source_last_success_timestamp_seconds', (nowMs - newest.ageMs) / 1000, labels);
    page.set('holdfast_source_recovery_point_age_seconds', newest.ageMs / 1000, labels);
  }
  if (proof) {
    page.set('holdfast_source_last_drill_timestamp_seconds', (nowMs - proof.ageMs) / 1000, labels);
    page.set('holdfast_source_last_drill_success', proof.verdict === 'passed' ? 1 : 0, labels);
    if (proof.verdict === 'passed') page.set('holdfast_source_recovery_time_seconds', proof.restoreMs / 1000, labels);
  }
  const provenMs = proven === undefined ? undefined : parseInstant(proven);
  if (provenMs === undefined) return;
  page.set('holdfast_source_proof_timestamp_seconds', provenMs / 1000, labels);
  page.set('holdfast_source_proof_age_seconds', (nowMs - provenMs) / 1000, labels);
}

function setRepositories(page: Page, { repositories, sources }: StatusOutput): void {
  const counts = new Map<string, number>();
  for (const one of sources) counts.set(one.repository, (counts.get(one.repository) ?? 0) + one.snapshots);
  for (const one of repositories) setRepository(page, one, counts.get(one.name) ?? 0);
}

function setRepository(page: Page, view: StatusOutput['repositories'][number], snapshots: number): void {
  const { name, state, ok, missing, lastCheck } = view;
  const labels = { repository: name };
  // One that may be away is no trouble until it is away for too long.
  if (state !== 'away' || !ok) page.set('holdfast_repository_reachable', state === 'ready' ? 1 : 0, labels);
  if (state === 'ready') page.set('holdfast_repository_snapshots', snapshots, labels);
  page.set('holdfast_repository_missing_copies', missing, labels);
  if (!lastCheck) return;
  const checkedMs = parseInstant(lastCheck.time);
  page.set('holdfast_repository_last_check_timestamp_seconds', checkedMs && checkedMs / 1000, labels);
  page.set('holdfast_repository_last_check_success', lastCheck.ok ? 1 : 0, labels);
}

async function setServer(page: Page, server: ServerFigures, nowMs: number): Promise<void> {
  const { runs, queue, agents } = server;
  // Kinds and states of which there are none are 0, not absent: what is absent cannot be compared with anything.
  const counts = new Map(runs.map(({ kind, state, count }) => [`${kind} ${state}`, count]));
  for (const kind of runKinds) {
    for (const state of runStates)
      page.set('holdfast_recent_runs', counts.get(`${kind} ${state}`) ?? 0, { kind, state });
  }
  page.set('holdfast_runs_running', queue.running);
  page.set('holdfast_queue_length', queue.queued);
  page.set('holdfast_queue_oldest_seconds', Math.max(0, nowMs - (queue.oldestMs ?? nowMs)) / 1000);
  page.set('holdfast_workers_connected', server.workers);
  page.set('holdfast_agents_enrolled', agents.enrolled);
  page.set('holdfast_agents_connected', agents.connected);
  for (const { channel, state, count } of server.deliveries) {
    page.set('holdfast_recent_notifications', count, { channel, state });
  }
  for (const { repository, storedBytes, restoredBytes } of server.sizes) {
    const labels = { repository };
    page.set('holdfast_repository_stored_bytes', storedBytes, labels);
    page.set('holdfast_repository_restored_bytes', restoredBytes, labels);
    if (restoredBytes !== undefined && storedBytes > 0) {
      page.set('holdfast_repository_dedup_ratio', restoredBytes / storedBytes, labels);
    }
  }
}

/** Drills of each repository that a source is stored in; an empty label is none. */
async function setLastRuns(page: Page, { ofKind, drills }: LastRuns, { sources }: Config): Promise<void> {
  await inTurns(page, ofKind.values(), (kinds) => {
    for (const run of kinds.values()) if (run.kind !== 'drill') setRun(page, run, '');
  });
  await inTurns(page, drills, ([source, own]) => {
    const placements = sources.get(source)?.placements ?? [];
    for (const [repository, run] of own) {
      if (repository === '' || placements.some((one) => one.repository === repository)) setRun(page, run, repository);
    }
  });
}

function setRun(page: Page, run: EndedRun, repository: string): void {
  const labels = { source: run.source, kind: run.kind, repository };
  page.set('holdfast_source_last_run_timestamp_seconds', run.endedAtMs / 1000, labels);
  page.set('holdfast_source_last_run_success', run.state === 'succeeded' ? 1 : 0, labels);
  if (run.startedAtMs !== undefined) {
    page.set('holdfast_source_last_run_duration_seconds', (run.endedAtMs - run.startedAtMs) / 1000, labels);
  }
  page.set('holdfast_source_last_run_bytes', run.bytes, labels);
  page.set('holdfast_source_last_run_added_bytes', run.addedBytes, labels);
}
