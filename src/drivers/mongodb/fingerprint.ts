/**
 * Exact facts about the collections of a server, taken from the documents as they pass: how many there are, and a digest of
 * all of them, byte by byte, in whatever order they come; options, indexes and views as text.
 */
import { hash } from 'node:crypto';
import type { Fact } from '../../model/fingerprint.ts';
import { dataCollection } from '../../protocols/mongodb/archive.ts';
import { type Catalogue, type CollectionDefinition, compareText } from './catalogue.ts';
import { isAccountCollection } from './choice.ts';
import { normalText } from './exact.ts';

/** Names of the algorithms; a change of what they mean gets a new name. */
export const algorithms = { full: 'mongodb-documents-1', counts: 'mongodb-counts-1' } as const;
export type Level = keyof typeof algorithms;

/** Facts longer than this are stored as their digest. */
const longestText = 500;
/** What servers add, or call otherwise from release to release, without meaning anything else. */
const idleIndexFields = ['v', 'ns', 'background', 'textIndexVersion', '2dsphereIndexVersion'];
const idleOptions = ['uuid', 'autoIndexId', 'flags'];

/** Counts and digests per collection of documents. */
export class FactsTaker {
  readonly #level: Level;
  readonly #tallies = new Map<string, Tally>();

  constructor(level: Level) {
    this.#level = level;
  }

  add(database: string, collection: string, documents: readonly Uint8Array[]): void {
    const tally = this.tally(database, collection);
    tally.documents += documents.length;
    if (this.#level === 'counts') return;
    for (const document of documents) tally.digest.add(hash('sha256', document, 'buffer'));
  }

  tally(database: string, collection: string): Tally {
    const key = `${database}.${collection}`;
    const known = this.#tallies.get(key);
    if (known) return known;
    const fresh: Tally = { documents: 0, digest: new DigestSum() };
    this.#tallies.set(key, fresh);
    return fresh;
  }

  facts(catalogue: Catalogue): Fact[] {
    const names = [...new Set(catalogue.filter((one) => !isAccounts(one)).map(({ database }) => database))];
    const databases = names.toSorted(compareText).map((database): Fact => {
      const count = catalogue.filter((one) => one.database === database && !isAccounts(one)).length;
      return { subject: `database ${database}`, measure: 'collections and views', value: String(count) };
    });
    const server: Fact = { subject: 'server', measure: 'databases', value: String(names.length) };
    return [server, ...databases, ...catalogue.flatMap((one) => this.#of(one))];
  }

  #of(definition: CollectionDefinition): Fact[] {
    const { database, name, kind } = definition;
    const subject = `${kind === 'timeseries' ? 'time series' : kind} ${database}.${name}`;
    const fact = (measure: string, value: string): Fact => ({ subject, measure, value });
    const { documents, digest } = this.tally(database, dataCollection({ collection: name, kind }));
    if (isAccounts(definition)) {
      return name === 'system.version' || documents === 0 ? [] : [fact('documents', String(documents))];
    }
    const options = fact('options', short(normalText(definition.options, idleOptions)));
    if (kind === 'view') return [options];
    const indexes = definition.indexes.map((index) =>
      fact(`index ${String(index.name)}`, short(normalText(index, idleIndexFields))),
    );
    const counted = [fact(kind === 'timeseries' ? 'buckets' : 'documents', String(documents)), options, ...indexes];
    return this.#level === 'counts' ? counted : [...counted, fact('digest', digest.hex())];
  }
}

/** Users and roles get into a server through its own merging, which may add to them: they are counted. */
function isAccounts({ database, name }: Pick<CollectionDefinition, 'database' | 'name'>): boolean {
  return isAccountCollection(database, name);
}

function short(text: string): string {
  return text.length <= longestText ? text : `sha256 ${hash('sha256', text)}`;
}

interface Tally {
  documents: number;
  readonly digest: DigestSum;
}

const lanes = 8;
/** Lanes hold sums of 32-bit numbers exactly up to 2^53: carried over long before. */
const mostPending = 1 << 20;

/** The sum of SHA-256 digests modulo 2^256: the same in any order, different if one is missing, changed or there twice. */
export class DigestSum {
  readonly #lanes = new Float64Array(lanes);
  #pending = 0;

  add(digest: Buffer): void {
    for (let lane = 0; lane < lanes; lane++) this.#lanes[lane] += digest.readUInt32LE(lane * 4);
    if (++this.#pending >= mostPending) this.#carry();
  }

  hex(): string {
    this.#carry();
    const bytes = Buffer.alloc(lanes * 4);
    for (let lane = 0; lane < lanes; lane++) bytes.writeUInt32LE(this.#lanes[lane], lane * 4);
    return bytes.toString('hex');
  }

  #carry(): void {
    let over = 0;
    for (let lane = 0; lane < lanes; lane++) {
      const sum = this.#lanes[lane] + over;
      over = Math.floor(sum / 2 ** 32);
      this.#lanes[lane] = sum % 2 ** 32;
    }
    this.#pending = 0;
  }
}
