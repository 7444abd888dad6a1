import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readXml, XmlError } from './reader.ts';

const eventsOf = (text: string): unknown[] => [...readXml(text)];

test('elements have the names of their namespaces, whatever the prefix; text is what is meant', () => {
  const text = `<?xml version="1.0"?>\n<!-- x --><D:a xmlns:D="DAV:" xmlns='other'><b c="&amp;"/>1 &lt; &#50;<![CDATA[<&]]></D:a>\n`;
  expect(eventsOf(text)).toEqual([
    { kind: 'open', namespace: 'DAV:', name: 'a' },
    { kind: 'open', namespace: 'other', name: 'b' },
    { kind: 'close', namespace: 'other', name: 'b' },
    { kind: 'text', text: '1 < 2' },
    { kind: 'text', text: '<&' },
    { kind: 'close', namespace: 'DAV:', name: 'a' },
  ]);
});

test.each([
  '',
  'text',
  '<a>',
  '<a></b>',
  '<a/><b/>',
  '<a',
  '<x:a/>',
  '<a>&nbsp;</a>',
  '<a>&</a>',
  '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
  '<a>'.repeat(200),
])('what is not well-formed, or declares, is refused: %s', (text) => {
  expect(() => eventsOf(text)).toThrow(XmlError);
});

test('any text comes back from its escaped form', () => {
  const escaped = (text: string): string => text.replace(/[&<>]/g, (char) => `&#x${char.charCodeAt(0).toString(16)};`);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const found = eventsOf(`<a>${escaped(text)}</a>`) as { kind: string; text?: string }[];
      expect(found.map((event) => event.text ?? '').join('')).toBe(text);
    }),
    { numRuns: 40 },
  );
});
