/** Notifications of this server: its channels, and which workspaces an event belongs to. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { HoldfastEvent } from '../model/event.ts';
import type { AnyChannelKind } from '../notify/channel.ts';
import { runNotifier } from '../notify/notifier.ts';
import type { SourceAccess } from '../operations/operation.ts';
import { secretReader } from './read-secrets.ts';

interface Parts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Log;
  readonly kinds: readonly AnyChannelKind[];
  readonly access: () => SourceAccess;
}

/** Until the signal is aborted. */
export async function notify({ access, ...parts }: Parts, signal: AbortSignal): Promise<void> {
  const { env } = access();
  await runNotifier(
    {
      ...parts,
      env,
      secret: (reference, owner) => secretReader({ ...access(), signal })(reference, owner),
      plans: () => access().config.notifications.values(),
      workspacesOf: (event) => workspacesOf(event, access()),
      serverUrl: () => access().config.server.url,
    },
    signal,
  );
}

function workspacesOf({ source, policy, repository }: HoldfastEvent, { config }: SourceAccess): string[] {
  const entries = [
    config.sources.get(source ?? ''),
    config.policies.get(policy ?? ''),
    config.repositories.get(repository ?? ''),
  ];
  return [...new Set(entries.flatMap((one) => (one ? [one.workspace] : [])))];
}
