/** Proofs: what drills found, kept beside the snapshots they are about, sealed like them. */
import { z } from 'zod';
import { utf8, view } from '../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Proof, StoredProof } from '../../model/proof.ts';
import { unpackedName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { forEachUnpacked, loadUnpacked, saveUnpacked } from '../sealing/unpacked.ts';

const readsAtOnce = 8;

const proofSchema: z.ZodType<Proof> = z.object({
  format: z.literal(1),
  source: z.string(),
  driver: z.string(),
  snapshot: z.string().regex(/^[0-9a-f]{64}$/),
  snapshotTime: z.string(),
  startedAtMs: z.number(),
  restoreMs: z.number(),
  compareMs: z.number(),
  restoredBytes: z.number(),
  verdict: z.enum(['passed', 'failed']),
  checksTotal: z.int(),
  checksFailed: z.int(),
  checks: z.array(
    z.object({
      subject: z.string(),
      measure: z.string(),
      expected: z.string(),
      found: z.string(),
      ok: z.boolean(),
    }),
  ),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
  host: z.string(),
  instance: z.string().optional(),
  programVersion: z.string(),
});

/** Stores a proof; returns its id. */
export async function saveProof(repository: Repository, proof: Proof): Promise<string> {
  return await saveUnpacked(repository, 'proofs', utf8(JSON.stringify(proof)));
}

/** All proofs, oldest first. One that cannot be read throws `repository.damaged`: it may be what protects a snapshot. */
export async function listProofs(repository: Repository, signal?: AbortSignal): Promise<StoredProof[]> {
  const proofs: StoredProof[] = [];
  const use = async (id: string, json: () => Promise<Uint8Array>): Promise<void> => {
    try {
      proofs.push({ ...decodeProof(repository, id, await json()), id });
    } catch (error) {
      // Removed since the listing.
      if (!hasCode(error, 'storage.not-found')) throw error;
    }
  };
  await forEachUnpacked(repository, 'proofs', use, { atOnce: readsAtOnce, signal });
  return proofs.sort((a, b) => a.startedAtMs - b.startedAtMs || (a.id < b.id ? -1 : 1));
}

export async function loadProof(repository: Repository, id: string, signal?: AbortSignal): Promise<StoredProof> {
  return { ...decodeProof(repository, id, await loadUnpacked(repository, 'proofs', id, signal)), id };
}

function decodeProof(repository: Repository, id: string, json: Uint8Array): Proof {
  let cause: unknown;
  try {
    const parsed = proofSchema.safeParse(JSON.parse(view(json).toString('utf8')));
    if (parsed.success) return parsed.data;
    cause = parsed.error;
  } catch (error) {
    cause = error;
  }
  throw new HoldfastError({
    code: 'repository.damaged',
    message: `${unpackedName('proofs', id)} in ${repository.storage.location} is not a proof this version reads`,
    remedy: 'Use the version that wrote it, or remove that file: only the record of one drill is lost.',
    cause,
  });
}
