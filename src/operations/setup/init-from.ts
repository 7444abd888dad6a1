/**
 * Carry on from a repository, on a machine that has nothing but its address and password: the configuration comes out of
 * it, as do history and proofs, which never were anywhere else.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { type Config, expandPath, parseConfig, readSecret, type SecretReference } from '../../config/index.ts';
import type { StoredProof } from '../../model/proof.ts';
import { isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { listProofs, listSnapshots, type Repository, readState } from '../../repository/index.ts';
import { redactUrl } from '../../storage/open.ts';
import { secretState, secretStates } from '../configuration/secret-needs.ts';
import { writeKeepingAside, writeNewSecret } from '../new-file.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { openEntry, repositoryEntry } from '../repositories/repository-access.ts';
import { configFromState, type RestoredConfig } from './restored-config.ts';
import { skeletonText } from './skeleton-text.ts';

const input = z.object({
  /** The address of the repository, or a name where a configuration is there that says how to reach it. */
  from: z.string().min(1),
  /** Where the configuration is written. */
  file: z.string(),
  passwordFile: z.string().optional(),
  /** Of which machine, where several store into the repository. */
  host: z.string().optional(),
});

const stateOf = z.object({ snapshot: z.string(), time: z.string(), hostname: z.string(), configFile: z.string() });
const found = z.object({
  /** Absent for snapshots other programs made. */
  source: z.string().optional(),
  paths: z.array(z.string()),
  snapshots: z.number(),
  newest: z.string(),
  newestTime: z.string(),
  /** The last drill of any of them. */
  proof: z.object({ verdict: z.enum(['passed', 'failed']), time: z.string() }).optional(),
  /** Whether the configuration that was written declares it. */
  declared: z.boolean(),
});
const output = z.object({
  repository: z.object({ name: z.string(), url: z.string(), id: z.string() }),
  /** What the configuration came from; absent if it was written from the snapshots. */
  state: stateOf.optional(),
  /** Configurations of other machines, or other files, that are in the repository, too. */
  otherStates: z.array(stateOf),
  file: z.string(),
  /** Where the file is that was there before. */
  keptAside: z.string().optional(),
  sources: z.array(found),
  proofs: z.number(),
  secrets: z.array(secretState),
  /** Settings whose secret is not in the repository and which have to be written again. */
  replaced: z.array(z.object({ path: z.string(), by: z.string() })),
  notes: z.array(z.string()),
});
export type InitFromOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = SourceAccess & Execution & { readonly askPassword: () => Promise<Secret> };

export const initFrom = operation({
  name: 'init',
  permission: 'owner',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<InitFromOutput> => {
    const { reference, password } = await passwordFor(request, uses);
    const declared = repositoryEntry(request.from, uses);
    const entry = {
      ...declared,
      name: redactUrl(declared.url),
      password: { from: 'clear', secret: password },
    } as const;
    uses.report({ type: 'stage', stage: 'opening', subject: entry.name });
    await using opened = await openEntry(entry, uses);
    const { repository } = opened;
    const [snapshots, proofs] = [
      await listSnapshots(repository, uses.signal),
      await listProofs(repository, uses.signal),
    ];
    const [state, ...others] = newestStates(snapshots, request.host);
    const file = resolve(request.file);
    const facts = { snapshots, file, url: entry.url, reference, password };
    const restored = state ? await fromState(repository, state, facts, uses) : await fromSnapshots(facts, uses);
    const keptAside = await writeKeepingAside(file, restored.text, uses.clock.nowMs());
    const { name, config } = restored;
    return {
      repository: { name, url: redactUrl(entry.url), id: repository.config.id },
      ...(state ? { state: viewState(state) } : {}),
      otherStates: others.map(viewState),
      file,
      keptAside,
      sources: viewSources(snapshots, proofs, config),
      proofs: proofs.length,
      secrets: config ? await secretStates(config, { name, password }, uses) : [],
      replaced: restored.facts?.replaced ?? [],
      notes: [...restored.notes],
    };
  },
});

/** The first of: --password-file, the declared entry's place, the variables, what a person types or pipes in. */
async function passwordFor(
  request: Request,
  uses: Uses,
): Promise<{ password: Secret; reference: SecretReference | undefined }> {
  const { env, signal } = uses;
  const declared = uses.config.repositories.get(request.from)?.password;
  const named: SecretReference | undefined = request.passwordFile
    ? { from: 'file', path: expandPath(request.passwordFile, process.cwd()) }
    : declared;
  const byVariable = env.HOLDFAST_PASSWORD_FILE || env.HOLDFAST_PASSWORD;
  const reference = named ?? (byVariable ? repositoryEntry(request.from, uses).password : undefined);
  if (!reference) return { password: await uses.askPassword(), reference };
  const password = await readSecret(reference, 'the repository', {
    env,
    signal,
    run: (command) => uses.localHost().run(command),
  });
  return { password, reference };
}

/** The newest of each configuration, the newest of all first. `usage.invalid` if there is none of the wanted host. */
function newestStates(snapshots: readonly StoredSnapshot[], host: string | undefined): StoredSnapshot[] {
  const groups = Map.groupBy(snapshots.filter(isState), (one) => JSON.stringify([one.hostname, one.paths]));
  const newest = [...groups.values()].map((group) => group.at(-1)!).sort((a, b) => b.timeMs - a.timeMs);
  if (host === undefined) return newest;
  const wanted = newest.filter((one) => one.hostname === host);
  if (wanted.length > 0) return [...wanted, ...newest.filter((one) => one.hostname !== host)];
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `the repository holds no configuration of the host «${host}»`,
    remedy: `It holds those of: ${newest.map((one) => one.hostname ?? '?').join(', ') || 'none'}.`,
  });
}

interface Facts {
  readonly snapshots: readonly StoredSnapshot[];
  readonly file: string;
  readonly url: string;
  readonly reference: SecretReference | undefined;
  readonly password: Secret;
}

async function fromState(
  repository: Repository,
  state: StoredSnapshot,
  { file, url }: Facts,
  uses: Uses,
): Promise<RestoredConfig> {
  return configFromState(await readState(repository, state, uses.signal), { file, url }, uses);
}

async function fromSnapshots(
  { snapshots, file, url, reference, password }: Facts,
  uses: Uses,
): Promise<RestoredConfig> {
  const name = 'main';
  const place = reference ?? (await keepPassword(password, uses));
  const hostname = uses.localHost().hostname;
  const text = skeletonText({ name, url, password: place, snapshots, drivers: uses.drivers, hostname });
  const notes = [
    'the repository holds no configuration: this one was written from its snapshots and has to be completed',
  ];
  return { text, name, config: parseConfig(file, Buffer.from(text), uses), notes };
}

/** A typed password needs a place where the next backup finds it: a file of its own, never over another one. */
async function keepPassword(password: Secret, { env, signal, localHost }: Uses): Promise<SecretReference> {
  const folder = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'holdfast');
  for (let i = 1; ; i++) {
    const reference = { from: 'file', path: join(folder, i === 1 ? 'password' : `password-${i}`) } as const;
    if (await writeNewSecret(reference.path, password.reveal())) return reference;
    const places = {
      env,
      signal,
      run: (command: Parameters<ReturnType<typeof localHost>['run']>[0]) => localHost().run(command),
    };
    try {
      if ((await readSecret(reference, 'the repository', places)).reveal() === password.reveal()) return reference;
    } catch (error) {
      // Empty or unreadable: it is somebody's all the same, so the next name is tried.
      if (!hasCode(error, 'secret.unavailable')) throw error;
    }
  }
}

function viewState(state: StoredSnapshot): z.infer<typeof stateOf> {
  const { id, timeMs, hostname, paths } = state;
  return { snapshot: id, time: formatInstant(timeMs), hostname: hostname ?? '', configFile: paths[0] ?? '' };
}

function viewSources(
  snapshots: readonly StoredSnapshot[],
  proofs: readonly StoredProof[],
  config: Config | undefined,
): InitFromOutput['sources'] {
  const groups = Map.groupBy(
    snapshots.filter((one) => !isState(one)),
    (one) => sourceOf(one) ?? JSON.stringify([one.hostname, one.paths]),
  );
  return [...groups.values()].map((group) => {
    const newest = group.at(-1)!;
    const source = sourceOf(newest);
    const proof = proofs.findLast((one) => one.source === source);
    return {
      ...(source === undefined ? {} : { source }),
      paths: [...newest.paths],
      snapshots: group.length,
      newest: newest.id,
      newestTime: formatInstant(newest.timeMs),
      ...(proof ? { proof: { verdict: proof.verdict, time: formatInstant(proof.startedAtMs) } } : {}),
      declared: config?.sources.has(source ?? '') ?? false,
    };
  });
}
