/** Changes one value in the text of a configuration and leaves everything else as it was written. */
import { isScalar, parseDocument } from 'yaml';
import type { ConfigPath } from '../problems.ts';
import { parseOptions } from './parse-options.ts';

/** `undefined` if there is no plain value at that path. */
export function replaceValue(text: string, path: ConfigPath, value: string): string | undefined {
  const node = parseDocument(text, parseOptions).getIn(path, true);
  if (!isScalar(node) || !node.range) return undefined;
  const [start, end] = node.range;
  const tail = text.slice(start, end).endsWith('\n') ? '\n' : '';
  return text.slice(0, start) + JSON.stringify(value) + tail + text.slice(end);
}
