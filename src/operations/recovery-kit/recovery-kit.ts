/** A page with all that is needed to restore a repository, with Holdfast and without it. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { programVersion } from '../../base/version.ts';
import type { RepositoryEntry, SecretReference } from '../../config/index.ts';
import { openContents } from '../../engine/open-contents.ts';
import { driverOf, isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { groupOf } from '../../policy/protection.ts';
import { listKeys, listSnapshots, type Repository } from '../../repository/index.ts';
import { redactUrl } from '../../storage/open.ts';
import { plainAccess, type ResticAccess } from '../../storage/restic-access.ts';
import { placeOf } from '../configuration/secret-needs.ts';
import { describeError } from '../describe-error.ts';
import { writeNew } from '../new-file.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { openNamed, passwordOf } from '../repositories/repository-access.ts';
import { driverNamed } from '../sources/source-access.ts';
import { type KitFacts, type KitSource, kitPage } from './page.ts';
import { toHtml, toMarkdown } from './render.ts';

const formats = ['markdown', 'html'] as const;

const input = z.object({
  repository: z.string(),
  /** A new file, readable by its owner alone. */
  output: z.string().optional(),
  /** Default: by the ending of the file's name, else Markdown. */
  format: z.enum(formats).optional(),
  showPassword: z.boolean().default(false),
});
const output = z.object({
  repository: z.string(),
  format: z.enum(formats),
  file: z.string().optional(),
  /** The kit itself, unless it was written to a file. */
  text: z.string().optional(),
  /** Sources for which it could not be found out what to do with the files. */
  incomplete: z.array(z.object({ source: z.string(), message: z.string() })),
});
export type RecoveryKitOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = SourceAccess & Execution;

export const recoveryKit = operation({
  name: 'repo recovery-kit',
  permission: 'owner',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<RecoveryKitOutput> => {
    await using opened = await openNamed(request.repository, uses);
    const facts = await gather(opened.repository, opened.entry, request, uses);
    const format = request.format ?? (/\.html?$/i.test(request.output ?? '') ? 'html' : 'markdown');
    const page = kitPage(facts);
    const written = format === 'html' ? toHtml(page) : toMarkdown(page);
    const file = request.output === undefined ? undefined : resolve(request.output);
    if (file !== undefined) await writeNew(file, written, 0o600);
    return {
      repository: request.repository,
      format,
      ...(file === undefined ? { text: written } : { file }),
      incomplete: facts.sources.flatMap(({ name, problem }) =>
        problem === undefined ? [] : [{ source: name, message: problem }],
      ),
    };
  },
});

async function gather(
  repository: Repository,
  entry: RepositoryEntry,
  { showPassword }: Request,
  uses: Uses,
): Promise<KitFacts> {
  const snapshots = await listSnapshots(repository, uses.signal);
  const groups = [
    ...Map.groupBy(
      snapshots.filter((one) => !isState(one)),
      groupOf,
    ).values(),
  ];
  const sources: KitSource[] = [];
  for (const group of groups) sources.push(await kitSource(repository, group, uses));
  const keys = await listKeys(repository);
  return {
    name: entry.name,
    url: redactUrl(entry.url),
    id: repository.config.id,
    version: repository.config.version,
    made: formatInstant(uses.clock.nowMs()).slice(0, 16).replace('T', ' '),
    madeBy: `Holdfast ${programVersion}`,
    keys: keys.map((key) => ({ ...key, created: key.created.slice(0, 10), by: `${key.username}@${key.hostname}` })),
    passwordPlace: placeText(entry),
    ...(showPassword ? { password: (await passwordOf(entry, uses)).reveal() } : {}),
    access: accessTo(entry, uses),
    sources,
    hasState: snapshots.some(isState),
  };
}

/** Where Holdfast takes the password from. */
export function placeText({ password }: RepositoryEntry): string {
  const words: Readonly<Record<SecretReference['from'], string>> = {
    file: 'the file',
    env: 'the variable',
    command: 'the program',
    stored: 'what the server stores as',
    container: 'the container’s variable',
    clear: '',
  };
  return `${words[password.from]} ${placeOf(password)}`.trim();
}

export function accessTo(
  { url, settings }: RepositoryEntry,
  { storageKinds }: Pick<Uses, 'storageKinds'>,
): ResticAccess {
  const kind = storageKinds.find((one) => one.recognises(url));
  if (!kind?.resticAccess) return plainAccess(redactUrl(url));
  return kind.resticAccess(url, settings ?? kind.settings?.parse({}));
}

/** `group`: the snapshots of one source, oldest first. */
async function kitSource(repository: Repository, group: readonly StoredSnapshot[], uses: Uses): Promise<KitSource> {
  const newest = group.at(-1)!;
  const source = sourceOf(newest);
  const driver = driverOf(newest) ?? 'files';
  const facts = {
    name: source ?? newest.paths[0] ?? newest.id.slice(0, 8),
    driver,
    hostname: newest.hostname ?? 'an unknown host',
    paths: newest.paths,
    snapshots: group.length,
    newestId: newest.id,
    newestTime: formatInstant(newest.timeMs).slice(0, 16).replace('T', ' '),
    selection: source === undefined ? newest.id.slice(0, 16) : `latest --tag source:${source}`,
  };
  try {
    const { report, signal } = uses;
    await using held = await openContents({ repository, snapshot: newest, host: uses.localHost(), report, signal });
    return { ...facts, steps: await driverNamed(uses.drivers, driver).nativeSteps(held.contents) };
  } catch (error) {
    if (uses.signal.aborted) throw error;
    return { ...facts, steps: [], problem: describeError(error).message };
  }
}
