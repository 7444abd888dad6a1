/** Whether the server can do its work, for probes: asked often, so it only asks what is cheap. */
import type { Readiness } from '../api/parts.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Catalogue } from '../catalogue/open.ts';

/** What failed goes to the log, not to whoever asks. */
export async function readinessOf(catalogue: Catalogue, closing: AbortSignal, log: Log): Promise<Readiness> {
  const answers = await catalogue.db
    .selectFrom('lease')
    .select('name')
    .limit(1)
    .execute()
    .then(
      () => true,
      (error: unknown) => {
        log.error({ err: messageOf(error) }, 'the catalogue does not answer');
        return false;
      },
    );
  const checks = {
    catalogue: answers ? { ok: true } : { ok: false, message: 'the catalogue does not answer' },
    server: closing.aborted ? { ok: false, message: 'the server stops' } : { ok: true },
  };
  return { ready: Object.values(checks).every((one) => one.ok), checks };
}
