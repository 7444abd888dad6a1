/** Roles and tablespaces, as pg_dumpall writes them. */
import { explainProgram } from './failures.ts';
import type { Source } from './place.ts';
import { placeOf } from './place.ts';
import { type Programs, programIn } from './programs.ts';
import { type Reach, sameEveryDay } from './reach.ts';

/** A few KiB; the whole text is held. */
export async function dumpGlobals(
  source: Source,
  { programs, reach, withPasswords }: { programs: Programs; reach: Reach; withPasswords: boolean },
): Promise<Buffer> {
  const { database, title } = placeOf(source.settings);
  const process = await programs.host.run({
    argv: [
      programIn(programs, 'pg_dumpall'),
      '--globals-only',
      '--no-password',
      ...(withPasswords ? [] : ['--no-role-passwords']),
      // A name with other characters could be taken for a connection string; then it finds one by itself.
      ...(/^\w+$/.test(database) ? [`--database=${database}`] : []),
    ],
    env: { ...reach.env, ...sameEveryDay },
    signal: source.signal,
  });
  try {
    await process.endInput();
    const parts: Uint8Array[] = [];
    for await (const part of process.stdout) parts.push(Uint8Array.from(part));
    const { status, stderr } = await process.exit;
    if (status !== 0) throw explainProgram(stderr, `dump the roles of ${title}`, 'source.unreadable');
    return Buffer.concat(parts);
  } finally {
    process.kill();
    await process.exit;
  }
}
