import { globSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { drivers } from '../drivers/registry.ts';
import { hostKinds } from '../hosts/registry.ts';
import { channelKinds } from '../notify/registry.ts';
import { storageKinds } from '../storage/registry.ts';
import { configJsonSchema, sectionNames } from './index.ts';

const root = new URL('../..', import.meta.url).pathname;
const schema = configJsonSchema({ drivers, hostKinds, storageKinds, channelKinds });
const validate = new Ajv2020({ allowUnionTypes: true, strictRequired: false, validateFormats: false }).compile(schema);
const faults = (value: unknown): string[] => {
  validate(value);
  return (validate.errors ?? []).map((one) => `${one.instancePath} ${one.message}`);
};

/** Every YAML text in a document that is a configuration, or whole entries of one. */
function examplesIn(file: string): { at: string; value: unknown }[] {
  const text = readFileSync(`${root}/${file}`, 'utf8');
  const blocks = file.endsWith('.md') ? [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map((one) => one[1]) : [text];
  return blocks.flatMap((block, i) => {
    if (block.includes('# …')) return []; // part of an entry
    const value: unknown = parse(block, { merge: true });
    if (typeof value !== 'object' || value === null) return [];
    const isConfig = Object.keys(value).every(
      (key) => (sectionNames as readonly string[]).includes(key) || key.startsWith('x-'),
    );
    return isConfig ? [{ at: `${file} #${i + 1}`, value }] : [];
  });
}

describe('the JSON Schema of holdfast.yaml', () => {
  it('is published as it is: holdfast validate --schema > docs/holdfast.schema.json', () => {
    expect(JSON.parse(readFileSync(`${root}/docs/holdfast.schema.json`, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(schema)),
    );
  });

  it('takes every example of the documents', () => {
    const files = globSync(['docs/**/*.md', 'examples/**/holdfast.yaml', 'README.md'], { cwd: root });
    const examples = files.flatMap(examplesIn);
    expect(examples.length).toBeGreaterThan(10);
    expect(
      examples.flatMap(({ at, value }) =>
        faults(value)
          .slice(0, 3)
          .map((fault) => `${at}: ${fault}`),
      ),
    ).toEqual([]);
  });

  it('refuses what no entry may say', () => {
    const source = (settings: object) => faults({ sources: { a: settings } });
    expect(source({ driver: 'sqlite', path: '/x' })).toEqual([]);
    expect(source({ driver: 'sqlite', path: '/x', paths: ['/y'] })).not.toEqual([]);
    expect(source({ driver: 'sqllite', path: '/x' })).not.toEqual([]);
    expect(faults({ repositories: { nas: { url: '/nas' } } })).not.toEqual([]);
    expect(faults({ repositories: { nas: { url: '/nas', password: { evn: 'X' } } } })).not.toEqual([]);
    expect(faults({ repositories: { latest: { url: '/nas', password: { env: 'X' } } } })).not.toEqual([]);
    expect(faults({ policies: { nightly: null } })).not.toEqual([]);
    expect(faults({ sorces: {} })).not.toEqual([]);
    expect(faults({ 'x-mine': 1, server: { limits: { runs: 3 } } })).toEqual([]);
  });
});
