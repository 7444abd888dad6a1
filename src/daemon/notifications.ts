/** Notifications of this server. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { AnyChannelKind } from '../notify/channel.ts';
import { runNotifier } from '../notify/notifier.ts';
import { notifierParts } from '../operations/notify/notifier-parts.ts';
import type { SourceAccess } from '../operations/operation.ts';

interface Parts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Log;
  readonly kinds: readonly AnyChannelKind[];
  readonly access: () => SourceAccess;
}

/** Until the signal is aborted. */
export async function notify({ access, ...parts }: Parts, signal: AbortSignal): Promise<void> {
  await runNotifier({ ...parts, ...notifierParts(access, signal) }, signal);
}
