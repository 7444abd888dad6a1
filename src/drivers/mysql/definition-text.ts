/** The definition of a table as a text that makes it again. */
import { isUtf8 } from 'node:buffer';

const escaped: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r', t: '\t', b: '\b', Z: '\x1a' };
/** Names are passed over: they may look like anything. */
const defaults = /`(?:[^`]|``)*`|(\bDEFAULT )?'((?:[^'\\]|\\.|'')*)'/gs;

/** MariaDB shows a default of bytes as these bytes, which are no UTF-8: as hex they come through, and through any client. */
export function definitionText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  // One character for each byte.
  const shown = bytes.toString('latin1');
  const written = shown.replace(defaults, (found, head: string | undefined, inner: string | undefined) => {
    if (head === undefined || inner === undefined || isUtf8(Buffer.from(inner, 'latin1'))) return found;
    const value = inner.replace(/\\(.)|''/gs, (_, letter?: string) => (letter ? (escaped[letter] ?? letter) : "'"));
    return `${head}x'${Buffer.from(value, 'latin1').toString('hex')}'`;
  });
  return Buffer.from(written, 'latin1').toString('utf8');
}
