/** Catalogues to test with: an SQLite file, and a database of its own in a PostgreSQL that a test has started. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Catalogue, type CatalogueAddress, openCatalogue } from '../../src/catalogue/open.ts';
import { type PostgresRelease, type PostgresServer, startPostgres } from '../servers/postgres.ts';

export interface CataloguePlace extends AsyncDisposable {
  readonly title: string;
  /** A new, empty place for one. */
  address(): Promise<CatalogueAddress>;
  /** Opens it there; closed with the place. */
  open(address?: CatalogueAddress, nowMs?: () => number): Promise<Catalogue>;
}

export const cataloguePlaces: readonly { readonly title: string; readonly make: () => Promise<CataloguePlace> }[] = [
  { title: 'SQLite', make: makeSqlitePlace },
  ...([15, 18] as const).map((release) => ({
    title: `PostgreSQL ${release}`,
    make: () => makePostgresPlace(release),
  })),
];

export async function makeSqlitePlace(): Promise<CataloguePlace> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-catalogue-'));
  let count = 0;
  return placeOf(
    'SQLite',
    async () => ({ kind: 'sqlite', path: join(folder, `${count++}`, 'catalogue.db') }),
    async () => rmSync(folder, { recursive: true, force: true }),
  );
}

export async function makePostgresPlace(release: PostgresRelease = 15): Promise<CataloguePlace> {
  const server: PostgresServer = await startPostgres({ release });
  let count = 0;
  return placeOf(
    `PostgreSQL ${release}`,
    async () => {
      const name = `catalogue_${count++}`;
      await server.run('postgres', `CREATE DATABASE ${name}`);
      return { kind: 'postgres', url: server.url(name) };
    },
    async () => await server[Symbol.asyncDispose](),
  );
}

function placeOf(title: string, address: CataloguePlace['address'], remove: () => Promise<void>): CataloguePlace {
  const opened: Catalogue[] = [];
  return {
    title,
    address,
    async open(at, nowMs = Date.now) {
      const catalogue = await openCatalogue(at ?? (await address()), nowMs);
      opened.push(catalogue);
      return catalogue;
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened) await one[Symbol.asyncDispose]();
      await remove();
    },
  };
}
