import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareNames, decodeName } from '../../base/names.ts';
import type { Node, NodeType } from '../../model/node.ts';
import { decodeTree, encodeTree } from './tree.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const utf8 = (json: string): Buffer => Buffer.from(json, 'utf8');
const damaged = expect.objectContaining({ code: 'repository.damaged' });

const types: NodeType[] = ['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular'];
const name = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => decodeName(bytes)),
    fc.string({ unit: 'grapheme', minLength: 1 }),
  )
  .filter((one) => !/[/\0]/.test(one) && one !== '.' && one !== '..');
const unicode = fc.string({ unit: 'grapheme', minLength: 1 });
const wide = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const time = fc.bigInt({ min: -(10n ** 19n), max: 10n ** 20n });
const u32 = fc.nat({ max: 2 ** 32 - 1 });
const id = fc.uint8Array({ minLength: 32, maxLength: 32 });
const some = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

/** Any node as a snapshot can hold it. */
const anyNode: fc.Arbitrary<Node> = fc
  .record({
    name,
    type: fc.constantFrom(...types),
    mode: fc.nat({ max: 0o7777 }),
    mtimeNs: time,
    atimeNs: time,
    ctimeNs: time,
    uid: u32,
    gid: u32,
    user: some(unicode),
    group: some(unicode),
    inode: wide,
    deviceId: wide,
    size: fc.maxSafeNat(),
    links: u32,
    linkTarget: some(fc.oneof(name, unicode)),
    xattrs: some(fc.array(fc.record({ name: unicode, value: fc.uint8Array() }), { minLength: 1, maxLength: 3 })),
    device: some(wide.filter((value) => value > 0n)),
    content: fc.array(id, { maxLength: 70 }).map((ids) => new Uint8Array(Buffer.concat(ids))),
    subtree: some(id.map((bytes) => Buffer.from(bytes).toString('hex'))),
    otherFields: some(
      fc.array(fc.record({ name: fc.constantFrom('generic_attributes', 'error', 'new'), json: fc.json() }), {
        minLength: 1,
        maxLength: 1,
      }),
    ),
  })
  .map((node) =>
    node.type === 'file' ? node : { ...node, content: node.content.length > 0 ? node.content : undefined },
  )
  // What is null counts as absent.
  .map((node) => (node.otherFields?.[0].json === 'null' ? { ...node, otherFields: undefined } : node));

function sorted(nodes: readonly Node[]): Node[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  return [...byName.values()].sort((a, b) => compareNames(a.name, b.name));
}

/** Buffers and arrays of equal bytes alike. */
function plain(node: Node) {
  const bytes = (value: Uint8Array | undefined) => value && Buffer.from(value).toString('hex');
  const xattrs = node.xattrs?.map((one) => ({ name: one.name, value: bytes(one.value) }));
  return { ...node, content: bytes(node.content), xattrs };
}

const file: Node = {
  ...{ name: 'a', type: 'file', mode: 0o644, mtimeNs: 0n, atimeNs: 0n, ctimeNs: 0n, uid: 0, gid: 0 },
  ...{ inode: 1n, deviceId: 0n, size: 0, links: 1 },
};
const fileJson = text(encodeTree([file]));

describe('a tree', () => {
  test('of any nodes is read as what was written, and written again as it was', () => {
    fc.assert(
      fc.property(fc.array(anyNode, { maxLength: 8 }), (nodes) => {
        const tree = sorted(nodes);
        const bytes = encodeTree(tree);
        const decoded = decodeTree(bytes);
        expect(decoded.map(plain)).toEqual(tree.map(plain));
        expect(text(encodeTree(decoded))).toBe(text(bytes));
        expect(() => JSON.parse(text(bytes))).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });

  test('without nodes is what restic writes for one', () => {
    expect(text(encodeTree([]))).toBe('{"nodes":[]}\n');
    expect(decodeTree(utf8('{"nodes":[]}\n'))).toEqual([]);
    expect(decodeTree(utf8('{"nodes":null}'))).toEqual([]);
  });

  test.each([
    ['twice the same', 'a', 'a'],
    ['not sorted', 'b', 'a'],
    ['longer before shorter', 'ab', 'a'],
    ['sorted as UTF-16, not as bytes', '😀', 'ａ'],
    ['byte before the character it is less than', '\udcff', '😀'],
  ])('with names %s is not written', (_, first, second) => {
    const nodes = [
      { ...file, name: first },
      { ...file, name: second },
    ];
    expect(() => encodeTree(nodes)).toThrow(expect.objectContaining({ code: 'internal' }));
    if (first !== second) expect(decodeTree(encodeTree(nodes.toReversed())).length).toBe(2);
  });

  test.each(['', '.', '..', 'a/b', '/', '../../etc/passwd', 'nul\\\\x00', '\\\\057'])(
    'with an object named %j is not read',
    (bad) => {
      expect(() => decodeTree(utf8(fileJson.replace('"name":"a"', `"name":"${bad}"`)))).toThrow(damaged);
    },
  );

  test('with an object of an unknown type is not read, and it is said why', () => {
    for (const type of ['toString', 'door', '']) {
      const json = fileJson.replace('"type":"file"', `"type":"${type}"`);
      expect(() => decodeTree(utf8(json))).toThrow(expect.objectContaining({ code: 'repository.unsupported' }));
    }
  });

  test('keeps what Windows knows of a file where restic has it, and unknown fields', () => {
    const generic = '"generic_attributes":{"windows.creation_time":"gHjM","windows.file_attributes":32}';
    const json = fileJson
      .replace('"content"', `${generic},"device":7,"content"`)
      .replace('}]}', ',"error":"lost \\u003c","later":[1,{"content":["x"]}]}]}');
    const [node] = decodeTree(utf8(json));
    expect(node.otherFields?.map((field) => field.name)).toEqual(['generic_attributes', 'error', 'later']);
    expect(text(encodeTree([node]))).toBe(json);
  });

  test('is read in any order of fields, with white space, and with fields around the nodes', () => {
    const json =
      '\n{ "v": [1, {"nodes": 2}], "nodes" : [ {\t"content" : [ ] , "type":"file", "name" : "x" } ], "w": {} }\r\n';
    const [node] = decodeTree(utf8(json));
    expect(node).toMatchObject({ name: 'x', type: 'file', content: new Uint8Array(), inode: 0n });
    // Go's zero time.
    expect(text(encodeTree([node]))).toContain('"mtime":"0001-01-01T00:00:00Z"');
  });

  test('keeps a link target that is not UTF-8 by its bytes', () => {
    const link: Node = { ...file, type: 'symlink', linkTarget: 'a\udcff<' };
    const json = text(encodeTree([link]));
    expect(json).toContain('"linktarget":"a\\ufffd\\u003c","linktarget_raw":"Yf88","content":null');
    expect(decodeTree(utf8(json))[0].linkTarget).toBe('a\udcff<');
    const reversed = json.replace(/("linktarget":.*?),("linktarget_raw":"Yf88")/, '$2,$1');
    expect(decodeTree(utf8(reversed))[0].linkTarget).toBe('a\udcff<');
  });

  test('of a file with 262,144 blobs is written and read without a string for each', () => {
    const content = new Uint8Array(randomBytes(262_144 * 32));
    const bytes = encodeTree([{ ...file, content }]);
    const [node] = decodeTree(bytes);
    expect(Buffer.compare(node.content!, content)).toBe(0);
    expect(bytes.byteLength).toBe(fileJson.length + 262_144 * 67 - 1);
  });

  test.each([
    ['not closed', '{"nodes":['],
    ['followed by something', '{"nodes":[]}x'],
    ['a list', '[]'],
    ['of text nodes', '{"nodes":["a"]}'],
    ['with a negative size', fileJson.replace('"uid":0', '"uid":-1')],
    ['with a size beyond 2^53', fileJson.replace('"links":1', '"size":9007199254740993')],
    ['with an inode beyond 2^64', fileJson.replace('"inode":1', '"inode":18446744073709551616')],
    ['with a time that is none', fileJson.replace(/"mtime":"[^"]*"/, '"mtime":"yesterday"')],
    ['with a short id', fileJson.replace('[]}', '["abc"]}')],
    ['with ids that are numbers', fileJson.replace('[]}', '[1]}')],
    ['with content that does not end', fileJson.slice(0, -5)],
  ])('%s is damaged', (_, json) => {
    expect(() => decodeTree(utf8(json))).toThrow(damaged);
  });
});
