import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { secretSetting } from '../base/secret-reference.ts';
import type { AnyDriver } from '../drivers/driver.ts';
import { compareConfigs, type Known, parseConfig } from './index.ts';

const known: Known = {
  drivers: [
    {
      name: 'app',
      settings: z.strictObject({
        url: z.string().optional(),
        command: z.array(z.string()).optional(),
        password: secretSetting('a password').optional(),
        apiKey: z.string().optional(),
      }),
    },
  ] as unknown as AnyDriver[],
  hostKinds: [],
  storageKinds: [{ name: 'local', urlForm: '/path', recognises: () => true }] as unknown as Known['storageKinds'],
  channelKinds: [],
};
const config = (source: string, rest = '') =>
  parseConfig(
    '/etc/h.yaml',
    Buffer.from(
      `repositories: { nas: { url: /nas, password: { env: PW } } }\nsources: { a: { driver: app, repository: nas, ${source} } }\n${rest}`,
    ),
    known,
  );

const changes = (before: string, after: string) =>
  compareConfigs(config(before), config(after)).flatMap((one) =>
    one.fields.map(({ path, before: old, after: now }) => `${path}: ${old} → ${now}`),
  );

describe('comparing configurations', () => {
  it('sees what they mean: order, style and comments are nothing', () => {
    expect(compareConfigs(config('url: x, # one\n command: [a, b]'), config('command: [a, "b"], url: "x"'))).toEqual(
      [],
    );
    expect(changes('command: [a, b]', 'command: [b, a]')).toEqual(['settings.command: ["a","b"] → ["b","a"]']);
    expect(changes('url: x', '')).toEqual(['settings.url: "x" → undefined']);
  });

  it('sees that a secret changed and shows neither', () => {
    expect(changes('password: geheim-geheim-1', 'password: geheim-geheim-2')).toEqual([
      'settings.password.secret: *** → ***',
    ]);
    const shown = [
      changes('password: geheim-geheim-1', 'password: { env: PW }'),
      changes('url: "https://me:geheim-geheim-1@x/"', 'url: "https://me:geheim-geheim-2@x/"'),
      changes('command: [x, --password=geheim-geheim-1]', 'command: [x, --password=geheim-geheim-2]'),
      changes('apiKey: geheim-geheim-1', 'apiKey: geheim-geheim-2'),
      changes('password: geheim-geheim-1, command: [x, geheim-geheim-1]', 'password: { env: A }, command: [x, y]'),
    ];
    expect(shown.every((one) => one.length > 0)).toBe(true);
    expect(JSON.stringify(shown)).not.toContain('geheim-geheim');
  });

  it('gives sections in their order, what was removed before what was added', () => {
    const before = config('url: x', 'users: { anna: { role: viewer }, ben: { role: viewer } }');
    const after = config(
      'url: x',
      'users: { anna: { role: admin }, cleo: { role: viewer } }\nserver: { limits: { runs: 8 } }',
    );
    expect(compareConfigs(before, after).map((one) => `${one.section}.${one.name} ${one.change}`)).toEqual([
      'server.server changed',
      'users.ben removed',
      'users.cleo added',
      'users.anna changed',
    ]);
  });
});
