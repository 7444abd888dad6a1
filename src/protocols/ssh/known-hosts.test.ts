import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fingerprintOf, knownHostsName, knownKeysOf, matchesHosts } from './known-hosts.ts';

const key = `ssh-ed25519 ${publicBlob().toString('base64')}`;

function publicBlob(): Buffer {
  const der = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
  const raw = der.subarray(-32);
  const length = (size: number): Buffer => Buffer.from([0, 0, 0, size]);
  return Buffer.concat([length(11), Buffer.from('ssh-ed25519'), length(32), raw]);
}

function lines(text: string, host = 'db.example', port = 22): (string | undefined)[] {
  return knownKeysOf(text, 'file', host, port).map(({ line, marker }) => `${line}${marker ? ` ${marker}` : ''}`);
}

describe('the lines about a host', () => {
  test('name it plainly, in a list, in any case', () => {
    const text = `# comment\n\ndb.example ${key}\nother,DB.Example,10.0.0.1 ${key} comment\nother ${key}\n`;
    expect(lines(text)).toEqual(['3', '4']);
    expect(lines(text, '10.0.0.1')).toEqual(['4']);
  });

  test('name it with its port; without a port they count only if none does', () => {
    const text = `db.example ${key}\n[db.example]:2222 ${key}\n`;
    expect(lines(text, 'db.example', 2222)).toEqual(['2']);
    expect(lines(text, 'db.example', 2223)).toEqual(['1']);
    expect(lines(text)).toEqual(['1']);
  });

  test('may be hashed', () => {
    const salt = randomBytes(20);
    const hash = (name: string): string =>
      `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
    expect(lines(`${hash('db.example')} ${key}\n${hash('[db.example]:2222')} ${key}\n`)).toEqual(['1']);
    expect(lines(`${hash('[db.example]:2222')} ${key}\n`, 'DB.example', 2222)).toEqual(['1']);
    expect(lines(`|2|x|y ${key}\n|1|x ${key}\n`)).toEqual([]);
  });

  test('carry markers', () => {
    const text = `@revoked * ${key}\n@cert-authority *.example ${key}\n@unknown * ${key}\n`;
    expect(lines(text)).toEqual(['1 revoked', '2 cert-authority']);
  });

  test('that are broken are about nobody', () => {
    const text = `db.example\ndb.example ssh-ed25519\ndb.example ssh-rsa ${key.split(' ')[1]}\ndb.example ssh-ed25519 !!!\n`;
    expect(lines(text)).toEqual([]);
  });
});

test('patterns match as in OpenSSH, and a negated one decides', () => {
  expect(matchesHosts('*.example', 'db.example')).toBe(true);
  expect(matchesHosts('*.example', 'dbxexample')).toBe(false);
  expect(matchesHosts('10.0.0.?', '10.0.0.7')).toBe(true);
  expect(matchesHosts('10.0.0.?', '10.0.0.77')).toBe(false);
  expect(matchesHosts('*.example,!db.example', 'db.example')).toBe(false);
  expect(matchesHosts('!db.example', 'web.example')).toBe(false);
});

test('a name with a port is in brackets', () => {
  expect(knownHostsName('DB.example', 22)).toBe('db.example');
  expect(knownHostsName('::1', 2222)).toBe('[::1]:2222');
});

test('a fingerprint is what ssh-keygen prints', () => {
  const blob = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl', 'base64');
  expect(fingerprintOf(blob)).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
});
