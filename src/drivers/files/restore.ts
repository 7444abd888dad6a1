/** Restores: to a directory, or in place (`/`), all of it or what patterns choose. */
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import { compileSelection, type Selection } from '../../base/patterns.ts';
import type { HostFiles } from '../../hosts/host.ts';
import type { Node, NodeAttributes } from '../../model/node.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import type { FilesSettings } from './settings.ts';
import { joinPath } from './source-paths.ts';

/** Sentences a dry run gives; what is beyond is only counted. */
const mostSteps = 1000;

/** What a restore will do, found by walking the snapshot and looking at the target. */
interface Plan {
  files: number;
  bytes: number;
  directories: number;
  others: number;
  readonly steps: string[];
  moreSteps: number;
  /** What is at the target already and stands in the way. */
  conflict: string | undefined;
}

interface PlanRequest {
  readonly files: HostFiles;
  readonly contents: SnapshotContents;
  readonly selection: Selection;
  readonly replace: boolean;
  readonly signal: AbortSignal;
}

export async function restoreFiles(
  source: SourceContext<FilesSettings>,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  const target = checkTarget(request.target ?? '/');
  const existing = request.existing ?? (request.overwrite ? 'make-equal' : 'refuse');
  // Holdfast's own facts lie in the snapshot's root: no file of the source, so never written to a place of the source
  const exclude = [...(request.exclude ?? []), `/${factsFolder}/`];
  const plan: Plan = { files: 0, bytes: 0, directories: 0, others: 0, steps: [], moreSteps: 0, conflict: undefined };
  const selection = compileSelection({ include: request.include, exclude });
  const replace = existing === 'make-equal';
  const walk = { files: request.host.files, contents, selection, replace, signal: source.signal };
  await planDirectory(walk, plan, '/', target, true);
  if (plan.files + plan.directories + plan.others === 0) throw nothingChosen(contents);
  if (request.dryRun) return describePlan(plan);
  if (plan.conflict) throw conflictError(plan.conflict);
  const result = await contents.writeTree('/', target, {
    include: request.include,
    exclude,
    existing,
    host: request.host,
  });
  const summary = `${count(result.files, 'file')} with ${formatBytes(result.bytes)} and ${count(plan.directories, 'directory', 'directories')} restored to ${printableName(target)}`;
  return { steps: [summary], files: result.files, bytes: result.bytes, problems: result.problems };
}

function checkTarget(target: string): string {
  const trimmed = target.replace(/(?<=.)\/+$/, '');
  if (target.startsWith('/') && !trimmed.split('/').includes('..')) return trimmed;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `"${printableName(target)}" is no absolute path`,
    remedy: 'Name a directory by its full path, or / to restore to the original places.',
  });
}

/** True if anything below was chosen. */
async function planDirectory(
  walk: PlanRequest,
  plan: Plan,
  from: string,
  to: string,
  mayExist: boolean,
): Promise<boolean> {
  throwIfCancelled(walk.signal);
  const present = mayExist ? await listTarget(walk.files, to) : new Map<string, NodeAttributes>();
  let any = false;
  for (const node of await walk.contents.children(from)) {
    const path = joinPath(from, node.name);
    const place = joinPath(to, node.name);
    const there = present.get(node.name);
    const { selected, descend } = walk.selection.select(path, node.type === 'dir');
    if (node.type !== 'dir') {
      if (selected) planObject(walk, plan, node, place, there);
      any ||= selected;
    } else if (selected || descend) {
      const mark = plan.steps.length;
      const below = await planDirectory(walk, plan, path, place, there?.type === 'dir');
      if (!selected && !below) continue;
      any = true;
      planMadeDirectory(plan, place, there, mark);
    }
  }
  return any;
}

function planMadeDirectory(plan: Plan, place: string, there: NodeAttributes | undefined, at: number): void {
  plan.directories++;
  if (there && there.type !== 'dir') plan.conflict ??= place;
  const step = `${there ? 'set the attributes of' : 'make'} the directory ${printableName(place)}`;
  if (plan.steps.length < mostSteps) plan.steps.splice(at, 0, step);
  else plan.moreSteps++;
}

function planObject(walk: PlanRequest, plan: Plan, node: Node, place: string, there: NodeAttributes | undefined): void {
  if (node.type === 'file') {
    plan.files++;
    plan.bytes += node.size;
  } else plan.others++;
  if (there && !walk.replace) plan.conflict ??= place;
  if (plan.steps.length >= mostSteps) {
    plan.moreSteps++;
    return;
  }
  const what =
    node.type === 'file'
      ? `${printableName(place)} (${formatBytes(node.size)})`
      : `${printableName(place)} (${node.type})`;
  if (!there) plan.steps.push(`write ${what}`);
  else if (walk.replace) plan.steps.push(`compare ${what} and rewrite what differs`);
  else plan.steps.push(`stop: ${what} exists already`);
}

async function listTarget(files: HostFiles, path: string): Promise<Map<string, NodeAttributes>> {
  try {
    const found = await files.list(path, () => {});
    return new Map(found.map((one) => [one.name, one]));
  } catch (error) {
    if (hasCode(error, 'source.missing')) return new Map();
    throw error;
  }
}

function describePlan(plan: Plan): RestoreOutcome {
  const steps = plan.moreSteps > 0 ? [...plan.steps, `… and ${plan.moreSteps} more steps`] : plan.steps;
  const problems = plan.conflict ? [conflictError(plan.conflict).message] : [];
  return { steps, files: plan.files, bytes: plan.bytes, problems };
}

function conflictError(place: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `${printableName(place)} exists already`,
    remedy: 'Restore to an empty directory, or with --overwrite: what exists is then made equal to the snapshot.',
  });
}

function nothingChosen(contents: SnapshotContents): HoldfastError {
  return new HoldfastError({
    code: 'snapshot.path-missing',
    message: `nothing in snapshot ${contents.id.slice(0, 8)} matches`,
    remedy: `Compare the patterns with what it holds: holdfast ls ${contents.id.slice(0, 8)}`,
  });
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
