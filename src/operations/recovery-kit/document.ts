/** A page to print: what it is made of, whatever it is written as. */
export type Block =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'text'; readonly text: string }
  /** Lines for a shell, to be typed as they are. */
  | { readonly kind: 'shell'; readonly text: string }
  | { readonly kind: 'facts'; readonly rows: readonly (readonly [name: string, value: string])[] }
  /** A place to write something by hand. */
  | { readonly kind: 'blank'; readonly label: string };

export interface Page {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export function heading(text: string): Block {
  return { kind: 'heading', text };
}

export function text(...sentences: readonly string[]): Block {
  return { kind: 'text', text: sentences.join(' ') };
}

export function shell(...lines: readonly string[]): Block {
  return { kind: 'shell', text: lines.join('\n') };
}
