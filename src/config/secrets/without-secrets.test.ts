import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import type { AnyDriver } from '../../drivers/driver.ts';
import type { AnyStorageKind } from '../../storage/storage.ts';
import { configWithoutSecrets, parseConfig, secretPlaces, withoutSecrets } from '../index.ts';

const secret = 'Tr0ub4dor&3 "x"';
const known = {
  drivers: [
    {
      name: 'postgres',
      settings: z.strictObject({
        url: z.string().describe('where'),
        password: secretSetting('of the user').optional(),
      }),
    },
    {
      name: 'command',
      settings: z.strictObject({
        command: z.array(z.string()).describe('the program'),
        env: z.record(z.string(), z.string()).optional(),
        secrets: z.record(z.string(), secretSetting('a secret')).optional(),
      }),
    },
  ] as unknown as AnyDriver[],
  hostKinds: [],
  channelKinds: [{ name: 'ntfy', settings: z.strictObject({ ntfy: z.string(), token: z.string() }) }],
  storageKinds: [
    { name: 'local', urlForm: '/path', recognises: (url: string) => url.startsWith('/') },
  ] as AnyStorageKind[],
};

function clean(yaml: string): { text: string; replaced: readonly { path: string; by: string }[] } {
  return configWithoutSecrets(parseConfig('/etc/holdfast.yaml', Buffer.from(yaml), known), known);
}

const file = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

describe('a configuration without secrets', () => {
  it('is as it was written where there are none, comments and order included', () => {
    const yaml = file([
      '# Print this password and keep it: see docs',
      'repositories:   # where to',
      '  nas: { url: /mnt/nas, password: { file: /run/secrets/pw } }  # the key: one',
      'sources:',
      '  shop: { driver: postgres, url: "postgres://me@db:5432/shop", password: { env: SHOP_PASSWORD }, repository: nas }',
      '  dump: { driver: command, command: [sh, -c, "PGPASSWORD=$PW pg_dump"], repository: nas }',
    ]);
    expect(clean(yaml)).toEqual({ text: yaml, replaced: [] });
  });

  it('asks for a variable where a secret stood in the clear, in every way to write one', () => {
    const { text, replaced } = clean(
      file([
        `x-shared: &pw ${JSON.stringify(secret)}   # ${secret}`,
        'x-base: &base',
        '  driver: postgres',
        "  password: 'it''s a longer secret'",
        'repositories:',
        '  nas:',
        '    url: /mnt/nas',
        '    password: |-',
        `      ${secret}`,
        '  other: { url: /mnt/other, password: *pw }',
        'sources:',
        '  shop: { <<: *base, url: "postgres://me@db/shop", repository: nas }',
        `  dump: { driver: command, command: [x, "--password=${'another-secret-1'}", ${JSON.stringify(`-p${secret}`)}], secrets: { TOKEN: abc }, repository: nas }`,
      ]),
    );
    for (const one of [secret, JSON.stringify(secret).slice(1, -1), "it''s a", 'another-secret-1', 'abc']) {
      expect(text).not.toContain(one);
    }
    expect(replaced).toContainEqual({
      path: 'repositories.nas.password',
      by: '{ env: HOLDFAST_REPOSITORIES_NAS_PASSWORD }',
    });
    const again = secretPlaces(parseConfig('/etc/holdfast.yaml', Buffer.from(text), known));
    expect(again.map(({ reference }) => reference.from)).toEqual(['env', 'env', 'env', 'env']);
  });

  it('cuts secrets out of addresses, command lines, variables and comments that are no secret settings', () => {
    const { text } = clean(
      file([
        '# password: "an old one"',
        '# shop: { password: { file: /kept } }, token=abcdef',
        'repositories: { nas: { url: /mnt/nas, password: { env: PW } } }',
        'sources:',
        '  dump:',
        '    driver: command',
        '    command: [curl, "https://me:hunter2@host/x?token=abc&y=1", -H, "Authorization: Bearer abcdefgh12", "PGPASSWORD=xyz x"]',
        '    env: { API_TOKEN: s3cr3t, LANG: C, KEY_PASSWORD: /a/file }',
        '    repository: nas',
        'notifications: { phone: { ntfy: "https://ntfy/x", token: tk_123 } }',
      ]),
    );
    for (const one of ['an old one', 'abcdef', 'hunter2', 'token=abc', 'xyz', 's3cr3t', 'tk_123']) {
      expect(text).not.toContain(one);
    }
    for (const one of ['{ file: /kept }', 'https://me:***@host/x', 'LANG: C', '/a/file', 'https://ntfy/x']) {
      expect(text).toContain(one);
    }
  });

  it('leaves names and paths alone that happen to be the password, too', () => {
    const { text } = clean(
      file([
        'repositories: { backup: { url: /mnt/backup, password: backup } }',
        'sources: { dump: { driver: command, command: [backup], repository: backup } }',
      ]),
    );
    expect(text).toContain('url: /mnt/backup, password: { env: HOLDFAST_REPOSITORIES_BACKUP_PASSWORD }');
    expect(text).toContain('command: [backup], repository: backup');
  });

  it('never lets a secret through, whatever it is made of', () => {
    const strange = fc
      .string({ unit: 'grapheme', minLength: 12, maxLength: 30 })
      .filter((text) => text.trim().length >= 12);
    fc.assert(
      fc.property(strange, (value) => {
        fc.pre(!/^\$\{?\w+\}?$/.test(value));
        const config = parseConfig(
          '/etc/holdfast.yaml',
          Buffer.from(
            file([
              `repositories: { nas: { url: /mnt/nas, password: ${JSON.stringify(value)} } }`,
              `sources: { dump: { driver: command, command: [x, ${JSON.stringify(`-p${value}`)}], repository: nas } }`,
            ]),
          ),
          known,
        );
        const { text } = configWithoutSecrets(config, known);
        expect(text).not.toContain(value);
        expect(JSON.stringify(withoutSecrets([...config.sources.values()], config))).not.toContain(
          JSON.stringify(value).slice(1, -1),
        );
      }),
      { numRuns: 200 },
    );
  });
});
