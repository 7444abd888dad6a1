/** What the notifier needs of a configuration: its channels, how their secrets are read, and whom an event concerns. */
import { readSecret } from '../../config/index.ts';
import type { HoldfastEvent } from '../../model/event.ts';
import type { NotifierParts } from '../../notify/notifier.ts';
import type { SourceAccess } from '../operation.ts';

type Known = 'env' | 'secret' | 'plans' | 'workspacesOf' | 'serverUrl';

/** `access` is asked again and again: a changed configuration counts at once. */
export function notifierParts(access: () => SourceAccess, signal: AbortSignal): Pick<NotifierParts, Known> {
  const { env } = access();
  return {
    env,
    secret: (reference, owner) =>
      readSecret(reference, owner, { env, signal, run: (command) => access().localHost().run(command) }),
    plans: () => access().config.notifications.values(),
    workspacesOf: (event) => workspacesOf(event, access()),
    serverUrl: () => access().config.server.url,
  };
}

function workspacesOf({ source, policy, repository }: HoldfastEvent, { config }: SourceAccess): string[] {
  const entries = [
    config.sources.get(source ?? ''),
    config.policies.get(policy ?? ''),
    config.repositories.get(repository ?? ''),
  ];
  return [...new Set(entries.flatMap((one) => (one ? [one.workspace] : [])))];
}
