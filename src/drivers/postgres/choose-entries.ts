/** Some tables of a dump: the entries of its table of contents that make them, with what belongs to them. */
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreRequest } from '../driver.ts';
import { explainProgram } from './failures.ts';
import type { Loader } from './load.ts';
import { programIn } from './programs.ts';
import type { DatabaseFacts } from './source-facts.ts';
import { globMatcher } from './sql-text.ts';

const named = [
  'TABLE',
  'TABLE DATA',
  'FOREIGN TABLE',
  'VIEW',
  'MATERIALIZED VIEW',
  'MATERIALIZED VIEW DATA',
  'SEQUENCE',
  'SEQUENCE SET',
  'SEQUENCE OWNED BY',
  'ROW SECURITY',
  'TABLE ATTACH',
];
/** Their tag is the table's name, a space, and their own. */
const attached = ['DEFAULT', 'CONSTRAINT', 'CHECK CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY'];
/** Entries whose tag begins with the kind of what they are about. */
const about = ['ACL', 'COMMENT'];
const whole = ['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE'];

/**
 * The list `pg_restore --use-list` takes, for `include` and `exclude` as schema.table with * and ?. Foreign keys are left
 * out, as the table they point to may be.
 */
export async function chooseEntries(
  loader: Loader,
  facts: DatabaseFacts,
  { include = [], exclude = [] }: RestoreRequest,
): Promise<string> {
  const { programs } = loader;
  if (facts.format !== 'custom' || programs.host.kind !== 'local') {
    throw refused(
      'single tables are restored only from dumps in the format custom, by a pg_restore on this machine',
      'Restore the whole database under another name, and copy the tables.',
    );
  }
  const lines = (await contentsOf(loader, facts)).split('\n').filter((line) => /^\d+;/.test(line));
  const wanted = include.length === 0 ? () => true : globMatcher(include);
  const unwanted = globMatcher(exclude);
  const chosen = lines.filter((line) => {
    const table = tableOf(line, facts);
    return table !== undefined && wanted(table) && !unwanted(table);
  });
  if (chosen.some((line) => / TABLE | VIEW /.test(line))) return `${chosen.join('\n')}\n`;
  throw refused(
    `no table in the dump of ${facts.name} matches ${include.join(', ')}`,
    'Patterns are schema.table with * and ?, e.g. public.orders.',
  );
}

async function contentsOf({ programs, contents, source, reach }: Loader, facts: DatabaseFacts): Promise<string> {
  const process = await programs.host.run({
    argv: [programIn(programs, 'pg_restore'), '--list'],
    env: reach.env,
    signal: source.signal,
  });
  const parts: Uint8Array[] = [];
  const said = (async () => {
    for await (const part of process.stdout) parts.push(Uint8Array.from(part));
  })();
  try {
    for await (const piece of contents.read(facts.path)) {
      // It reads the table of contents, and ends.
      const isTaken = await process.write(piece).then(
        () => true,
        () => false,
      );
      if (!isTaken) break;
    }
    await process.endInput();
    await said;
    const { status, stderr } = await process.exit;
    if (status !== 0) throw explainProgram(stderr, `read the dump of ${facts.name}`, 'restore.failed');
    return Buffer.concat(parts).toString('utf8');
  } finally {
    process.kill();
    await process.exit;
  }
}

/** `dumpId; catalogue oid DESCRIPTION schema tag owner` */
function tableOf(line: string, { relations }: DatabaseFacts): string | undefined {
  const rest = line.replace(/^\d+; \d+ \d+ /, '');
  for (const { schema, name, indexes, sequences } of relations) {
    const own = [name, ...sequences];
    const fits =
      own.some((one) => named.some((kind) => rest.startsWith(`${kind} ${schema} ${one} `))) ||
      attached.some((kind) => rest.startsWith(`${kind} ${schema} ${name} `)) ||
      indexes.some((one) => rest.startsWith(`INDEX ${schema} ${one} `)) ||
      indexes.some((one) => rest.startsWith(`COMMENT ${schema} INDEX ${one} `)) ||
      about.some(
        (what) =>
          own.some((one) => whole.some((kind) => rest.startsWith(`${what} ${schema} ${kind} ${one} `))) ||
          rest.startsWith(`${what} ${schema} COLUMN ${name}.`),
      );
    if (fits) return `${schema}.${name}`;
  }
  return undefined;
}

function refused(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'restore.target-invalid', message, remedy });
}
