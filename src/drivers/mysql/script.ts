/**
 * The form of a dump: SQL that the server's own client loads, with marks (`-- section {…}`) between its statements, so
 * that it can be taken apart again without understanding SQL. A statement ends with the delimiter at the end of a line;
 * the writer sees to it that no line within a statement ends with it.
 */
import { HoldfastError } from '../../base/errors.ts';

/** What the statements after a mark are about. */
export type Section =
  | { readonly kind: 'session' | 'accounts' | 'grants' | 'end' }
  | { readonly kind: 'database'; readonly name: string; readonly charset: string; readonly collation: string }
  | { readonly kind: 'table' | 'rows' | 'sequence'; readonly name: string }
  | { readonly kind: 'program'; readonly program: string; readonly name: string };

export interface Statement {
  readonly section: Section;
  readonly sql: string;
}

const mark = '-- section ';

export function sectionText(section: Section): string {
  return `\n${mark}${JSON.stringify(section)}\n`;
}

/** Any one statement, e.g. the body of a trigger; it may end with a comment, which would take the delimiter of its line for its own. */
export function statementText(sql: string): string {
  if (!/;|#|--/.test(sql)) return `${sql};\n`;
  let delimiter = ';;';
  for (let number = 1; sql.includes(delimiter) || sql.endsWith(delimiter[0]); number++) delimiter = `$$${number}$$`;
  return `DELIMITER ${delimiter}\n${sql}\n${delimiter}\nDELIMITER ;\n`;
}

/** Takes a dump apart. Memory: one statement. `restore.failed` if it does not end as it should. */
export async function* readScript(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Statement> {
  const reader = new ScriptReader();
  for await (const chunk of chunks) yield* reader.read(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  reader.end();
}

const newline = 0x0a;

class ScriptReader {
  #section: Section = { kind: 'session' };
  #delimiter = ';';
  /** Whole chunks of a line or statement that has not ended. */
  #rest: Buffer[] = [];
  #lines: Buffer[] = [];
  #linesBytes = 0;

  *read(chunk: Buffer): Generator<Statement> {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      const piece = chunk.subarray(from, at + 1);
      const line = this.#rest.length > 0 ? Buffer.concat([...this.#rest.splice(0), piece]) : piece;
      from = at + 1;
      const sql = this.#line(line);
      if (sql !== undefined) yield { section: this.#section, sql };
    }
    if (from < chunk.length) this.#rest.push(Buffer.from(chunk.subarray(from)));
  }

  end(): void {
    if (this.#rest.length === 0 && this.#lines.length === 0 && this.#section.kind === 'end') return;
    throw new HoldfastError({
      code: 'restore.failed',
      message: 'a dump in the snapshot does not end as it should',
      remedy: 'Check the repository with --read-data, and restore another snapshot.',
    });
  }

  /** The statement that this line ends, if it ends one. */
  #line(line: Buffer): string | undefined {
    if (this.#lines.length === 0 && this.#between(line)) return undefined;
    this.#lines.push(line);
    this.#linesBytes += line.length;
    if (!endsWith(line, this.#delimiter)) return undefined;
    const text = Buffer.concat(this.#lines, this.#linesBytes).toString('utf8');
    this.#lines = [];
    this.#linesBytes = 0;
    return text.slice(0, -1 - this.#delimiter.length).replace(/\n$/, '');
  }

  /** True for lines between statements: marks, comments, delimiters. */
  #between(line: Buffer): boolean {
    if (line.length === 1) return true;
    if (line.length > 64 * 1024) return false;
    const text = line.toString('utf8').slice(0, -1);
    if (text.startsWith(mark)) this.#section = JSON.parse(text.slice(mark.length)) as Section;
    else if (text.startsWith('DELIMITER ')) this.#delimiter = text.slice('DELIMITER '.length);
    else return text.startsWith('-- ');
    return true;
  }
}

function endsWith(line: Buffer, delimiter: string): boolean {
  const start = line.length - 1 - delimiter.length;
  if (start < 0 || line[line.length - 2] !== delimiter.charCodeAt(delimiter.length - 1)) return false;
  return line.toString('latin1', start, line.length - 1) === delimiter;
}
