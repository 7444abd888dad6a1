/** A difference in a line, and which of them a running server only takes up when it is started again. */
import type { Difference } from '../../config/index.ts';

const mostFields = 4;

/** `policies.nightly: schedule "0 2 * * *" → "0 3 * * *"`. */
export function describeDifference({ section, name, change, fields }: Difference): string {
  const entry = section === 'server' ? 'server' : `${section}.${name}`;
  if (change !== 'changed') return `${entry}: ${change}`;
  const shown = fields
    .slice(0, mostFields)
    .map(({ path, before = 'none', after = 'none' }) => `${path} ${short(before)} → ${short(after)}`);
  const more = fields.length - shown.length;
  return `${entry}: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Settings that are read once, when the server starts. */
export function needRestart(differences: readonly Difference[]): string[] {
  return differences
    .filter((one) => one.section === 'server')
    .flatMap(({ fields }) => fields.map(({ path }) => path.split(/[.[]/)[0]))
    .filter((key, i, all) => ['listen', 'tls', 'catalogue', 'key', 'agents'].includes(key) && all.indexOf(key) === i)
    .map((key) => `server.${key}`);
}

export function counts(differences: readonly Difference[]): { added: number; removed: number; changed: number } {
  const of = (change: Difference['change']): number => differences.filter((one) => one.change === change).length;
  return { added: of('added'), removed: of('removed'), changed: of('changed') };
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
