/**
 * Reads XML 1.0 with namespaces, as far as answers of servers need it: elements, their text, character references. What a
 * document type declares is refused, so nothing expands; so is everything that is not well-formed. Memory: the text given,
 * and the names of open elements, at most 100.
 */

export interface XmlElement {
  /** The namespace's name, not its prefix; empty if there is none. */
  readonly namespace: string;
  readonly name: string;
}

export type XmlEvent =
  | ({ readonly kind: 'open' | 'close' } & XmlElement)
  | { readonly kind: 'text'; readonly text: string };

/** What is wrong, and at which character. */
export class XmlError extends Error {}

const deepest = 100;
const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
/** A comment, a CDATA section, a processing instruction, or a tag. */
const markup =
  /<!--(?:(?!--)[\s\S])*-->|<!\[CDATA\[([\s\S]*?)\]\]>|<\?[\s\S]*?\?>|<(\/?)([^\s<>/!?="']+)((?:\s+[^\s<>/="']+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/gy;

interface TextToken {
  readonly kind: 'text';
  readonly text: string;
  readonly at: number;
}

interface TagToken {
  readonly kind: 'begin' | 'end' | 'empty';
  readonly tag: string;
  readonly attributes: string;
  readonly at: number;
}

interface Open {
  readonly tag: string;
  readonly element: XmlElement;
  readonly prefixes: ReadonlyMap<string, string>;
}

/** In the document's order. `XmlError`. */
export function* readXml(text: string): Generator<XmlEvent> {
  const elements = new Elements();
  for (const token of tokensIn(text)) {
    if (token.kind === 'text') yield* elements.text(token);
    else if (token.kind === 'end') yield elements.end(token);
    else yield* elements.begin(token);
  }
  elements.finish();
}

/** Which elements are open. */
class Elements {
  readonly #open: Open[] = [];
  #roots = 0;

  *text({ text, at }: TextToken): Generator<XmlEvent> {
    if (this.#open.length > 0) yield { kind: 'text', text };
    else if (text.trim() !== '') throw new XmlError(`there is text outside of the root at ${at}`);
  }

  *begin({ kind, tag, attributes, at }: TagToken): Generator<XmlEvent> {
    if (this.#open.length === 0) this.#roots++;
    if (this.#roots > 1 || this.#open.length >= deepest) throw new XmlError(`<${tag}> at ${at} is one too many`);
    const opened = begun(tag, attributes, this.#open.at(-1)?.prefixes ?? new Map(), at);
    yield { kind: 'open', ...opened.element };
    if (kind === 'begin') this.#open.push(opened);
    else yield { kind: 'close', ...opened.element };
  }

  end({ tag, at }: TagToken): XmlEvent {
    return closed(this.#open.pop(), tag, at);
  }

  finish(): void {
    if (this.#open.length > 0 || this.#roots === 0) throw new XmlError('it ends too early');
  }
}

function* tokensIn(text: string): Generator<TextToken | TagToken> {
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  while (at < text.length) {
    const next = text.indexOf('<', at);
    const end = next < 0 ? text.length : next;
    if (end > at) yield { kind: 'text', text: unescaped(text.slice(at, end)), at };
    if (next < 0) return;
    markup.lastIndex = next;
    const match = markup.exec(text);
    if (!match) throw new XmlError(`what begins at ${next} is no element`);
    at = markup.lastIndex;
    const token = tokenOf(match);
    if (token) yield token;
  }
}

/** `undefined` for comments and instructions. */
function tokenOf(match: RegExpExecArray): TextToken | TagToken | undefined {
  const [, data, slash, tag, attributes = '', empty] = match;
  const at = match.index;
  if (data !== undefined) return { kind: 'text', text: data, at };
  if (tag === undefined) return undefined;
  return { kind: slash === '/' ? 'end' : empty === '/' ? 'empty' : 'begin', tag, attributes, at };
}

function closed(opened: Open | undefined, tag: string, at: number): XmlEvent {
  if (opened?.tag !== tag) throw new XmlError(`</${tag}> at character ${at} closes what is not open`);
  return { kind: 'close', ...opened.element };
}

function begun(tag: string, attributes: string, inherited: ReadonlyMap<string, string>, at: number): Open {
  const prefixes = withDeclared(attributes, inherited);
  const colon = tag.indexOf(':');
  const prefix = colon < 0 ? '' : tag.slice(0, colon);
  const namespace = prefixes.get(prefix);
  if (namespace === undefined && prefix !== '') throw new XmlError(`<${tag}> at character ${at} has an unknown prefix`);
  return { tag, element: { namespace: namespace ?? '', name: tag.slice(colon + 1) }, prefixes };
}

function withDeclared(attributes: string, inherited: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (!attributes.includes('xmlns')) return inherited;
  const prefixes = new Map(inherited);
  for (const match of attributes.matchAll(/\sxmlns(?::([^\s=]+))?\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    prefixes.set(match[1] ?? '', unescaped(match[2] ?? match[3]));
  }
  return prefixes;
}

function unescaped(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|([a-z]+));|&/g, (whole, hex, decimal, name) => {
    const known = name === undefined ? undefined : entities[String(name)];
    if (known !== undefined) return known;
    const point = hex ? Number.parseInt(hex, 16) : decimal ? Number(decimal) : -1;
    if (point < 0 || point > 0x10ffff) throw new XmlError(`${whole} is no character reference`);
    return String.fromCodePoint(point);
  });
}
