import { expect, test } from 'vitest';
import { z } from 'zod';
import { isSecretSetting } from '../../base/secret-reference.ts';
import { sshSettings } from './settings.ts';

test('settings are strict, described, and know their secrets', () => {
  expect(sshSettings.safeParse({ ssh: 'root@db' }).success).toBe(true);
  expect(sshSettings.safeParse({ ssh: 'root@db', port: 22 }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'no address' }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'db', key: 'text' }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'db', hostKey: 'md5:00' }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'db', hostKey: `SHA256:${'A'.repeat(43)}` }).success).toBe(true);
  expect(sshSettings.safeParse({ ssh: 'db', knownHosts: 'known' }).success).toBe(false);
  const { key, passphrase, password, agent } = sshSettings.shape;
  expect([key, passphrase, password, agent].map(isSecretSetting)).toEqual([true, true, true, false]);
  for (const [name, field] of Object.entries(sshSettings.shape)) {
    const inner = field instanceof z.ZodOptional ? (field.unwrap() as z.ZodType) : field;
    expect(field.description ?? inner.description, name).toBeDefined();
  }
});
