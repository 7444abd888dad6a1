/** Words of any bytes for a shell that reads lines. */
import { encodeName } from '../../base/names.ts';

/** Letters, digits and some marks as they are, every other byte as `\0ooo` for the shell's `printf %b`; after a `=`, so that none is empty. */
export function encodeWord(word: string): string {
  let text = '=';
  for (const byte of encodeName(word)) {
    const char = String.fromCharCode(byte);
    text += /[A-Za-z0-9/._,:@-]/.test(char) ? char : `\\0${byte.toString(8).padStart(3, '0')}`;
  }
  return text;
}
