import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AnyDriver } from '../drivers/driver.ts';
import { ConfigError, configWithoutSecrets, type Known, parseConfig } from './index.ts';

const known: Known = {
  drivers: [
    { name: 'files', settings: z.strictObject({ paths: z.array(z.string()).min(1) }) },
  ] as unknown as AnyDriver[],
  hostKinds: [],
  storageKinds: [{ name: 'local', urlForm: '/path', recognises: () => true }] as unknown as Known['storageKinds'],
  channelKinds: [],
};
const head = 'repositories: { nas: { url: /nas, password: { env: PW } } }\n';

function errorsOf(text: string): string[] {
  try {
    parseConfig('/etc/holdfast.yaml', Buffer.from(text), known, { shown: 'h.yaml' });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems
      .filter((one) => one.level === 'error')
      .map((one) => `${one.line}:${one.column} ${one.path} ${one.message}`);
  }
}

const many = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

describe('a configuration that means harm', () => {
  it('does not blow up: aliases of aliases, merges of merges', () => {
    const laughs = ['x-a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
    for (const [i, name] of [...'bcdefghi'].entries()) {
      const before = [...'abcdefgh'][i];
      laughs.push(`x-${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`);
    }
    expect(errorsOf(`${laughs.join('\n')}\n${head}`)[0]).toContain('expands its aliases more than 100 times');
    const merges = ['x-a: &a { k0: v }'];
    for (const [i, name] of [...'bcdefghi'].entries()) {
      const before = [...'abcdefgh'][i];
      merges.push(`x-${name}: &${name} { a${name}: { <<: *${before} }, b${name}: { <<: *${before} }, <<: *${before} }`);
    }
    errorsOf(`${merges.join('\n')}\n${head}`);
    expect(errorsOf(`x-a: &a { b: *a }\n${head}`)).toEqual(['1:14  contains itself: *a stands within &a']);
  });

  it('may not say a thing twice, at any depth, and every repetition is named', () => {
    expect(
      errorsOf(
        `${head}sources:\n  a: { driver: files, paths: [/a], repository: nas }\n  b: { driver: files, paths: [/b], repository: nas }\n  a: { driver: files, paths: [/c], repository: nas }\n`,
      ),
    ).toEqual(['5:3  is not valid YAML: the key «a» stands here twice']);
    expect(
      errorsOf(`${head}sources: { a: { driver: files, paths: [/a], repository: nas, paths: [/b] } }\n${head}`),
    ).toEqual([
      '2:62  is not valid YAML: the key «paths» stands here twice',
      '3:1  is not valid YAML: the key «repositories» stands here twice',
    ]);
    expect(
      errorsOf(`${head}x-a: &a { driver: files }\nsources: { a: { <<: *a, paths: [/a], repository: nas } }`),
    ).toEqual([]);
  });

  it('may not be empty where something is needed', () => {
    for (const section of [
      'server',
      'repositories',
      'hosts',
      'policies',
      'sources',
      'restores',
      'notifications',
      'workspaces',
      'users',
    ]) {
      const rest = section === 'repositories' ? '' : head;
      expect(errorsOf(`${rest}${section}:\n`), section).toEqual([expect.stringContaining(`${section} is empty`)]);
      if (section === 'server') continue;
      expect(errorsOf(`${rest}${section}: { x: }\n`), section).not.toEqual([]);
      expect(errorsOf(`${rest}${section}: [x]\n`), section).not.toEqual([]);
    }
    const source = (text: string) =>
      errorsOf(
        `${head}policies: { p: { repositories: [nas] } }\nsources: { a: { driver: files, paths: [/a], ${text} } }`,
      );
    for (const text of [
      'policy: ',
      'policy: ~',
      'policy: null',
      'policy: ""',
      'policy: []',
      'policy: {}',
      'repository: [~]',
      'policy: p, workspace: ~',
      'policy: p, host: null',
    ]) {
      expect(source(text), text).not.toEqual([]);
    }
    expect(source('policy: p')).toEqual([]);
  });

  it('may not go in circles, however long the way', () => {
    const ring = (count: number) => many(count, (i) => `  p${i}: { after: p${(i + 1) % count}, repositories: [nas] }`);
    expect(errorsOf(`${head}policies:\n${ring(1)}`)).toHaveLength(1);
    expect(errorsOf(`${head}policies:\n${ring(300)}`)).toHaveLength(300);
    expect(
      errorsOf(
        `${head}policies:\n  a: { repositories: [nas], drill: { after: a } }\n  b: { repositories: [nas], after: a, drill: { after: [a, b] } }`,
      ),
    ).toEqual([]);
  });

  it('names that programs take for something of theirs are names', () => {
    const names = ['constructor', 'toString', 'hasOwnProperty', 'valueOf'];
    for (const name of names) {
      const text = `repositories: { ${name}: { url: /nas, password: { env: PW } } }\nsources: { ${name}: { driver: files, paths: [/a], repository: ${name} } }`;
      expect(errorsOf(text), name).toEqual([]);
      expect(errorsOf(`${head}sources: { a: { driver: files, paths: [/a], policy: ${name} } }`)).toEqual([
        expect.stringContaining(`names the policy «${name}», which is not declared`),
      ]);
      expect(
        errorsOf(`${head}sources: { a: { driver: files, paths: [/a], repository: nas, ${name}: x } }`),
      ).toHaveLength(1);
    }
    expect(errorsOf(`${head}sources: { __proto__: { driver: files, paths: [/a], repository: nas } }`)).toEqual([
      expect.stringContaining('is not a name'),
    ]);
    expect(errorsOf(`${head}__proto__: { x: 1 }`)).toHaveLength(1);
  });

  it('may be long: ten thousand sources, all right or all wrong', () => {
    const sources = (policy: string) =>
      many(10_000, (i) => `  s${i}: { driver: files, paths: [/srv/${i}], policy: ${policy}${i % 50} }`);
    const policies = many(50, (i) => `  p${i}: { schedule: "0 2 * * *", repositories: [nas] }`);
    const good = `${head}policies:\n${policies}\nsources:\n${sources('p')}\n`;
    const config = parseConfig('/etc/holdfast.yaml', Buffer.from(good), known);
    expect(config.sources.size).toBe(10_000);
    expect(configWithoutSecrets(config, known).text).toBe(good);
    const wrong = errorsOf(`${head}policies:\n${policies}\nsources:\n${sources('q')}\n`);
    expect(wrong).toHaveLength(10_000);
    expect(wrong.at(-1)).toBe('10053:55 sources.s9999.policy names the policy «q49», which is not declared');
  });
});
