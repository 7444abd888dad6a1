import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonReader } from './json-reader.ts';

function reader(json: string | Uint8Array): JsonReader {
  return new JsonReader(typeof json === 'string' ? Buffer.from(json) : json, 'a test');
}

function fieldsOf(json: string): Map<string, string> {
  const found = new Map<string, string>();
  const from = reader(json);
  from.object((name) => found.set(name, from.other()));
  from.end();
  return found;
}

const damaged = expect.objectContaining({ code: 'repository.damaged' });

describe('a reader of JSON', () => {
  test('gives every field of any object as it is written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), fc.nat(3), (object, indent) => {
        const json = JSON.stringify(object, null, indent);
        const expected = Object.entries(JSON.parse(json)).filter(([, value]) => value !== null);
        const found = [...fieldsOf(json)].map(([name, value]): [string, unknown] => [name, JSON.parse(value)]);
        expect(new Map(found)).toEqual(new Map(expected));
      }),
    );
  });

  test('gives any text that is Unicode as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(reader(JSON.stringify(text)).text()).toBe(text);
      }),
    );
  });

  test('gives short texts right however many of them share a place', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 })), (texts) => {
        const found: string[] = [];
        const from = reader(JSON.stringify(texts));
        from.list(() => found.push(from.text()));
        expect(found).toEqual(texts);
      }),
    );
  });

  test('never gives half of a surrogate pair, which in a name would stand for a byte', () => {
    expect(reader('"a\\udc80\\ud800"').text()).toBe('a\ufffd\ufffd');
    expect(reader(Uint8Array.of(0x22, 0x61, 0x80, 0x22)).text()).toBe('a\ufffd');
  });

  test('gives whole numbers of 64 bits exactly', () => {
    for (const value of ['0', '7', '999999999999999', '9007199254740993', '18446744073709551615']) {
      expect(reader(value).wide()).toBe(BigInt(value));
    }
    expect(() => reader('18446744073709551616').wide()).toThrow(damaged);
    expect(reader(String(Number.MAX_SAFE_INTEGER)).count()).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => reader('9007199254740992').count()).toThrow(damaged);
    expect(() => reader('4294967296').count(4294967295)).toThrow(damaged);
  });

  test.each(['-1', '1.0', '1e3', '01', '', 'x', '"1"', '1x', '999999999999999999999'])(
    'does not take %s for a count',
    (json) => {
      expect(() => reader(json).count()).toThrow(damaged);
      expect(() => reader(json).wide()).toThrow(damaged);
    },
  );

  test('reads ids with and without white space, and lists of them', () => {
    const id = 'ab'.repeat(32);
    expect(reader(`"${id}"`).id()).toBe(id);
    expect(Buffer.from(reader(`[ "${id}" ,\n"${'00'.repeat(32)}" ]`).ids()).toString('hex')).toBe(id + '00'.repeat(32));
    expect(reader('[]').ids().byteLength).toBe(0);
    expect(reader('[ ]').ids().byteLength).toBe(0);
  });

  test.each(['"ab"', `"${'AB'.repeat(32)}"`, `"${'g'.repeat(64)}"`, `"${'ab'.repeat(33)}"`, '1', ''])(
    'does not take %s for an id',
    (json) => {
      expect(() => reader(json).id()).toThrow(damaged);
      expect(() => reader(`[${json},1]`).ids()).toThrow(damaged);
    },
  );

  test('passes over nulls, and gives the last of equal fields last', () => {
    expect(fieldsOf('{"a":1,"b":null,"a":[2]}')).toEqual(new Map([['a', '[2]']]));
  });

  test.each([
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{a:1}',
    '{"a":1}}',
    '{"a":[1}',
    '{"a":tru}',
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{"a":"',
    '{"a":"\\',
    '[]',
    '',
    'null',
  ])('does not take %j for an object', (json) => {
    expect(() => fieldsOf(json)).toThrow(damaged);
  });

  test('is not stopped by depth', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(fieldsOf(`{"a":${deep}}`).get('a')).toBe(deep);
    expect(() => fieldsOf(`{"a":${'['.repeat(200_000)}`)).toThrow(damaged);
    expect(() => fieldsOf('{"a":'.repeat(200_000))).toThrow(damaged);
  });

  test('says which document is wrong, and nothing of what is in it', () => {
    expect(() => reader('{"secret":"abc').object(() => undefined)).toThrow(/^a test is malformed: (?!.*abc)/);
  });
});
