/**
 * Partitions go with their table: it holds no rows itself, and they cannot be attached without it. Declarative ones only: a
 * child of ordinary inheritance is a table of its own, with rows that are its own.
 */

/** The thing itself, then what it is a partition of, up to the root. */
export type Lineage<T> = (one: T) => readonly T[];

/** `parent` is the key of what something is a partition of; a key that is not there ends the lineage. */
export function lineageIn<T>(
  all: readonly T[],
  key: (one: T) => string,
  parent: (one: T) => string | undefined,
): Lineage<T> {
  const byKey = new Map(all.map((one) => [key(one), one]));
  return (start) => {
    const line: T[] = [];
    for (let one: T | undefined = start; one !== undefined; ) {
      line.push(one);
      const above = parent(one);
      one = above === undefined ? undefined : byKey.get(above);
    }
    return line;
  };
}

/** Who is chosen brings all its partitions and the definitions it is attached to; who is left out takes its partitions along. */
export function choosePartitioned<T>(
  all: readonly T[],
  lineage: Lineage<T>,
  isWanted: (one: T) => boolean,
  isUnwanted: (one: T) => boolean,
): Set<T> {
  const wanted = all.filter((one) => lineage(one).some(isWanted) && !lineage(one).some(isUnwanted));
  return new Set(wanted.flatMap(lineage));
}

/** What the settings say of each table by its own name. */
export interface Named<T> {
  readonly isWanted: (one: T) => boolean;
  readonly isUnwanted: (one: T) => boolean;
  readonly isEmptied: (one: T) => boolean;
}

/** What of partitioned tables is not stored, unless the settings name all of it. `holdsRows`: it is no partitioned table itself. */
export function partitionNotes<T>(
  all: readonly T[],
  lineage: Lineage<T>,
  chosen: ReadonlySet<T>,
  named: Named<T>,
  { name, holdsRows }: { name: (one: T) => string; holdsRows: (one: T) => boolean },
): string[] {
  const partitions = all.filter((one) => holdsRows(one) && lineage(one).some((above) => above !== one));
  const groups = [...Map.groupBy(partitions, (one) => lineage(one).at(-1)!)];
  return groups.flatMap(([root, those]) => {
    const away = those.filter((one) => !chosen.has(one));
    const emptied = those.filter((one) => chosen.has(one) && lineage(one).some(named.isEmptied));
    const goesAlong = named.isUnwanted(root) && away.some((one) => isLost(one, lineage, named));
    const isSaid = named.isEmptied(root) && emptied.every(named.isEmptied);
    const tell = (what: string, which: readonly T[]): string =>
      `${what} ${which.length} of the ${those.length} partitions of ${name(root)}: ${list(which.map(name))}`;
    return [
      ...(away.length > 0 && (chosen.has(root) || goesAlong) ? [tell('not stored are', away)] : []),
      ...(emptied.length > 0 && !isSaid ? [tell('stored without their rows are', emptied)] : []),
    ];
  });
}

/** Only its table’s name leaves it out. */
function isLost<T>(one: T, lineage: Lineage<T>, { isWanted, isUnwanted }: Named<T>): boolean {
  return !isUnwanted(one) && lineage(one).some(isWanted);
}

const mostNamed = 5;

function list(names: readonly string[]): string {
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
  return `${names.slice(0, mostNamed).join(', ')}${more}`;
}
