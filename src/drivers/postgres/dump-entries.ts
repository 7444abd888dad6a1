/** Whose each entry of a dump's table of contents is, as `pg_restore --list` writes it: `dumpId; catalogue oid KIND schema tag owner`. */
import type { DatabaseFacts } from './source-facts.ts';
import { quoteName } from './sql-text.ts';

type StoredRelation = DatabaseFacts['relations'][number];

/** Their tag is the name, of the relation or of a sequence of it. */
const named = [
  ...['TABLE', 'TABLE DATA', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'MATERIALIZED VIEW DATA'],
  ...['SEQUENCE', 'SEQUENCE SET', 'SEQUENCE OWNED BY', 'ROW SECURITY', 'TABLE ATTACH'],
];
/** Their tag begins with the kind of what they are about. */
const about = ['ACL', 'COMMENT'];
const kinds = ['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE'];
/** Their tag is the relation's name, a space, and their own. Only for snapshots that do not say the oids. */
const attached = ['DEFAULT', 'CONSTRAINT', 'CHECK CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY'];

interface Known {
  readonly byOid: ReadonlyMap<string, StoredRelation>;
  /** By kind, schema and tag. */
  readonly byTag: ReadonlyMap<string, StoredRelation>;
  /** By how it begins, up to a space or a point. */
  readonly byBeginning: ReadonlyMap<string, StoredRelation>;
}

/** The relation that one line is about; `undefined` for everything else, and for foreign keys. */
export function readEntries({ relations, roles }: DatabaseFacts): (line: string) => StoredRelation | undefined {
  const known = index(relations);
  const knowsOids = relations.every(({ oids }) => oids !== undefined);
  return (line) => {
    const [, catalogue, oid, rest] = /^\d+; (\d+) (\d+) (.*)$/.exec(line) ?? [];
    // Rows and row security have the oid of their table, and no catalogue.
    if (knowsOids && oid !== '0') return known.byOid.get(`${catalogue === '0' ? relationCatalogue : catalogue} ${oid}`);
    const texts = ['', ...roles].filter((role) => rest.endsWith(` ${role}`)).map((role) => withoutEnd(rest, role));
    // Names may hold spaces: the longest text that fits has the shortest owner.
    for (const text of texts.toSorted((a, b) => b.length - a.length)) {
      const relation = known.byTag.get(text) ?? longestBeginning(text, known.byBeginning);
      if (relation) return relation;
    }
    return undefined;
  };
}

/** The oid of `pg_class`. */
const relationCatalogue = '1259';

function withoutEnd(text: string, end: string): string {
  return text.slice(0, text.length - end.length - 1);
}

function index(relations: readonly StoredRelation[]): Known {
  const by = (keys: (one: StoredRelation) => readonly string[]): ReadonlyMap<string, StoredRelation> =>
    new Map(relations.flatMap((one) => keys(one).map((key) => [key, one] as const)));
  return { byOid: by(({ oids = [] }) => oids), byTag: by(tagsOf), byBeginning: by(beginningsOf) };
}

function tagsOf({ schema, name, indexes, sequences }: StoredRelation): string[] {
  const whole = [name, ...sequences];
  return [
    ...pairs(named, whole).map(([kind, own]) => `${kind} ${schema} ${own}`),
    ...pairs(['INDEX', 'INDEX ATTACH'], indexes).map(([kind, own]) => `${kind} ${schema} ${own}`),
    ...about.flatMap((what) => [
      ...pairs(kinds, whole.flatMap(spellings)).map(([kind, own]) => `${what} ${schema} ${kind} ${own}`),
      ...indexes.flatMap(spellings).map((own) => `${what} ${schema} INDEX ${own}`),
    ]),
  ];
}

function beginningsOf({ schema, name }: StoredRelation): string[] {
  return [
    ...attached.map((kind) => `${kind} ${schema} ${name}`),
    ...pairs(about, spellings(name)).map(([what, own]) => `${what} ${schema} COLUMN ${own}`),
  ];
}

function pairs(one: readonly string[], other: readonly string[]): [string, string][] {
  return one.flatMap((a) => other.map((b): [string, string] => [a, b]));
}

/** Tags are quoted where SQL would need it, or never. */
function spellings(name: string): string[] {
  return [name, quoteName(name)];
}

function longestBeginning(text: string, known: ReadonlyMap<string, StoredRelation>): StoredRelation | undefined {
  for (let at = text.length - 1; at > 0; at--) {
    if (text[at] !== ' ' && text[at] !== '.') continue;
    const relation = known.get(text.slice(0, at));
    if (relation) return relation;
  }
  return undefined;
}
