/** The whole plan: each difference with what it comes to. */
import { type Config, compareConfigs, type Difference } from '../../../config/index.ts';
import {
  channelWords,
  hostWords,
  repositoryWords,
  restoreWords,
  serverWords,
  userWords,
  workspaceWords,
} from './platform-words.ts';
import type { Consequence, Situation } from './situation.ts';
import { policyWords, sourceWords } from './source-words.ts';

export interface PlannedChange extends Difference {
  readonly consequences: readonly Consequence[];
}

const words = {
  server: serverWords,
  repositories: repositoryWords,
  hosts: hostWords,
  policies: policyWords,
  sources: sourceWords,
  restores: restoreWords,
  notifications: channelWords,
  workspaces: workspaceWords,
  users: userWords,
} as const satisfies Record<Difference['section'], (difference: Difference, situation: Situation) => Consequence[]>;

export function drawUp(situation: Situation): PlannedChange[] {
  const { before, after } = situation;
  const differences = compareConfigs(before, after);
  const policies = new Set(differences.filter((one) => one.section === 'policies').map((one) => one.name));
  return differences
    .filter((one) => !isToldWithPolicy(one, { before, after, policies }))
    .map((one) => ({ ...one, consequences: words[one.section](one, situation) }));
}

/** Where sources are stored follows from their policy: what changed there is said once, not for each of them. */
function isToldWithPolicy(
  { section, name, change, fields }: Difference,
  at: { before: Config; after: Config; policies: ReadonlySet<string> },
): boolean {
  if (section !== 'sources' || change !== 'changed') return false;
  const [old, now] = [at.before.sources.get(name)?.policy, at.after.sources.get(name)?.policy];
  return (
    old === now && now !== undefined && at.policies.has(now) && fields.every((one) => one.path.startsWith('placements'))
  );
}
