/** What to do next about a run that failed: a judgement by its error and by what happened around it, with its reason. */

export interface DiagnosisFacts {
  readonly kind: string;
  readonly source?: string;
  readonly repository?: string;
  readonly host: string;
  readonly code: string;
  /** Runs of the same kind and source that failed since the last one that succeeded, this one included. */
  readonly failures: number;
  /** Other runs that failed within the hour, by what they share with this one. */
  readonly alike: { readonly sameHost: number; readonly sameRepository: number; readonly sameError: number };
  /** The configuration was changed since the last success. */
  readonly configChanged: boolean;
  /** It is being tried again, or was, and succeeded. */
  readonly retriedWell: boolean;
}

export interface Suggestion {
  /** A command, or an action of a person. */
  readonly action: string;
  readonly why: string;
  /** True if starting the same again is likely to help. */
  readonly tryAgain: boolean;
}

export function suggestNext(facts: DiagnosisFacts): Suggestion {
  if (facts.retriedWell) {
    return { action: 'nothing', why: 'a later run of the same kind succeeded', tryAgain: false };
  }
  return ofHost(facts) ?? ofRepository(facts) ?? ofCode(facts) ?? general(facts);
}

function ofHost({ code, host, alike }: DiagnosisFacts): Suggestion | undefined {
  const isHosts = code.startsWith('host.') || code.startsWith('agent.');
  if (!isHosts && (alike.sameHost < 2 || alike.sameHost <= alike.sameRepository)) return undefined;
  const others = alike.sameHost > 0 ? `, and ${alike.sameHost} other runs on ${host} failed within the hour` : '';
  const action = host === 'local' ? 'look at this machine: memory, disk, programs' : `holdfast host check ${host}`;
  return { action, why: `the trouble is with ${host === 'local' ? 'this machine' : host}${others}`, tryAgain: false };
}

function ofRepository({ code, repository, alike, source }: DiagnosisFacts): Suggestion | undefined {
  const named = repository ?? 'NAME';
  const others =
    alike.sameRepository > 0 ? `, and ${alike.sameRepository} other runs with it failed within the hour` : '';
  switch (code) {
    case 'repository.damaged':
    case 'repository.self-check':
      return {
        action: `holdfast repo check ${named}`,
        why: 'it names what is damaged; then see docs/repair.md',
        tryAgain: false,
      };
    case 'repository.locked':
      return {
        action: `holdfast repo list ${named}`,
        why: 'somebody else works in it; what died releases its lock after a while',
        tryAgain: true,
      };
    case 'repository.wrong-password':
      return {
        action: 'holdfast validate --secrets',
        why: 'the password that is configured does not open it',
        tryAgain: false,
      };
    case 'storage.full':
      return {
        action: `holdfast repo prune ${named}`,
        why: 'its storage is full: prune frees what nothing needs, or give it more room',
        tryAgain: false,
      };
    case 'storage.unreachable':
    case 'storage.denied':
    case 'storage.io':
    case 'storage.not-found':
    case 'repository.missing':
      return {
        action: `holdfast storage check ${named}`,
        why: `the trouble is with the storage${others}`,
        tryAgain: code === 'storage.unreachable',
      };
  }
  if (alike.sameRepository < 2) return undefined;
  return { action: `holdfast storage check ${named}`, why: `whatever ${source ?? 'it'} is${others}`, tryAgain: false };
}

const ofSource = 'the trouble is with the source, not with where it is stored';

function ofCode({ code, source, configChanged }: DiagnosisFacts): Suggestion | undefined {
  switch (code) {
    case 'run.lost':
      return {
        action: 'start it again',
        why: 'its process or machine died: nothing is wrong with the source as far as is known',
        tryAgain: true,
      };
    case 'run.timeout':
      return { action: 'set a longer «timeout» in its policy', why: 'it took longer than it may', tryAgain: false };
    case 'run.conflict':
    case 'source.busy':
    case 'source.changed':
      return { action: 'start it again at a quieter time', why: 'something else was at work on it', tryAgain: true };
    case 'secret.unavailable':
      return {
        action: 'holdfast validate --secrets',
        why: 'a secret it needs is not where the configuration says',
        tryAgain: false,
      };
    case 'drill.failed':
      return {
        action: `holdfast proofs ${source ?? ''}`.trim(),
        why: 'the restored copy is not what the backup recorded: an older snapshot may be',
        tryAgain: false,
      };
    case 'source.missing':
    case 'source.unreadable':
    case 'source.unsupported': {
      const changed = configChanged ? '; the configuration was changed since it last succeeded' : '';
      return { action: `holdfast driver check ${source ?? 'NAME'}`, why: ofSource + changed, tryAgain: false };
    }
  }
  return undefined;
}

function general({ failures, configChanged, source }: DiagnosisFacts): Suggestion {
  if (configChanged) {
    return {
      action: 'holdfast plan',
      why: 'the configuration was changed since it last succeeded: look at what',
      tryAgain: false,
    };
  }
  if (failures <= 1)
    return { action: 'start it again', why: 'it failed once; the same may not happen twice', tryAgain: true };
  return {
    action: `holdfast driver check ${source ?? 'NAME'}`,
    why: `it failed ${failures} times in a row`,
    tryAgain: false,
  };
}
