/** Commands as people type them into `redis-cli`. */
import { HoldfastError } from '../../base/errors.ts';

const word = /\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\'|[^'])*)'|([^\s"']\S*))(?=\s|$)/gsy;
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

/** Words apart by space; in double quotes with `\n`, `\x41` and the like, in single quotes as they are. `usage.invalid`. */
export function splitCommand(line: string): Uint8Array[] {
  const words: Uint8Array[] = [];
  word.lastIndex = 0;
  for (let end = 0; line.slice(end).trim() !== ''; end = word.lastIndex) {
    const match = word.exec(line);
    if (!match) throw unbalanced(line);
    words.push(unescaped(match));
  }
  if (words.length === 0) throw unbalanced(line);
  return words;
}

function unescaped([, double, single, plain]: RegExpExecArray): Uint8Array {
  if (plain !== undefined) return Buffer.from(plain);
  if (single !== undefined) return Buffer.from(single.replaceAll("\\'", "'"));
  const parts = double.split(/(\\x[0-9a-fA-F]{2}|\\.)/s);
  return Buffer.concat(
    parts.map((part) => {
      if (/^\\x../.test(part)) return Buffer.from(part.slice(2), 'hex');
      return Buffer.from(part.startsWith('\\') ? (escapes[part[1]] ?? part[1]) : part);
    }),
  );
}

function unbalanced(line: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `«${line}» is no command`,
    remedy: 'Write it as for redis-cli, for example: HGET user:7 name. Quotes have to be closed.',
  });
}
