import { expect, test } from 'vitest';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds } from '../../hosts/registry.ts';
import { storageKinds } from '../../storage/registry.ts';
import { parseConfig } from '../load.ts';
import { sourcePart } from './source-part.ts';

const known = { drivers, storageKinds, hostKinds, channelKinds: [] };

const text = `
x-all: &all { password: { file: repo.key }, check: { schedule: "0 7 1 * *" }, workspace: shop }
workspaces: { shop: { title: Shop } }
repositories:
  rest: { url: "rest:http://store.example/far/", <<: *all, rest: { user: me, password: { env: REST } } }
  nas: { url: /srv/nas, password: { command: [op, read, nas] }, keep: { daily: 7 } }
  other: { url: /srv/other, password: in-the-clear-elsewhere }
hosts:
  far: { agent: far-away }
  box: { docker: shop-db-1, on: far }
  ssh: { ssh: root@10.0.0.1 }
policies:
  nightly: { schedule: "0 2 * * *", repositories: [rest, { name: nas, keep: { last: 3 } }], after: [first], workspace: shop }
  first: { schedule: "0 1 * * *", repositories: [rest] }
sources:
  shop: { driver: postgres, host: box, url: 'postgres://shop@localhost/shop', password: { env: SHOP }, policy: nightly, workspace: shop }
  files: { driver: files, host: far, paths: [/etc], policy: nightly }
  here: { driver: files, paths: [/srv/here], policy: nightly }
`;

test('the part of a source holds what its machine needs, and no secret, nothing of others, nothing of when', () => {
  const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), known);
  const part = sourcePart(config, known, { sources: ['shop'], machine: 'far' });
  expect(JSON.parse(part.text)).toEqual({
    repositories: {
      rest: {
        url: 'rest:http://store.example/far/',
        password: { env: 'HOLDFAST_SECRET_1' },
        rest: { user: 'me', password: { env: 'HOLDFAST_SECRET_2' } },
      },
      nas: { url: '/srv/nas', password: { env: 'HOLDFAST_SECRET_3' }, keep: { daily: 7 } },
    },
    hosts: { box: { docker: 'shop-db-1' } },
    policies: { nightly: { repositories: ['rest', { name: 'nas', keep: { last: 3 } }] } },
    sources: {
      shop: {
        ...{ driver: 'postgres', host: 'box', url: 'postgres://shop@localhost/shop' },
        ...{ password: { env: 'HOLDFAST_SECRET_4' }, policy: 'nightly' },
      },
    },
  });
  expect(part.secrets.map(({ path, reference }) => [path, reference.from])).toEqual([
    ['repositories.rest.password', 'file'],
    ['repositories.rest.rest.password', 'env'],
    ['repositories.nas.password', 'command'],
    ['sources.shop.password', 'env'],
  ]);
  expect(part.secrets[0].reference).toEqual({ from: 'file', path: '/etc/repo.key' });
});

test('a source on the machine itself is one of this machine there', () => {
  const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), known);
  const part = sourcePart(config, known, { sources: ['files'], machine: 'far' });
  expect(JSON.parse(part.text)).toMatchObject({ sources: { files: { driver: 'files', paths: ['/etc'] } } });
  const there = parseConfig('/var/lib/agent/holdfast.yaml', Buffer.from(part.text), known);
  expect(there.sources.get('files')).toMatchObject({
    host: 'local',
    placements: [{ repository: 'rest' }, { keep: { last: 3 } }],
  });
  expect(part.text).not.toContain('in-the-clear');
});

test('a machine may be called like a repository, a container, or anything else that is said of a source', () => {
  const config = parseConfig(
    '/etc/holdfast.yaml',
    Buffer.from(`
repositories: { nas: { url: "rest:http://store.example/nas", password: { env: NAS } } }
hosts: { nas: { agent: nas }, box: { docker: nas, on: nas } }
sources:
  dump: { driver: command, host: nas, command: [dump-it], filename: nas, repository: nas }
  boxed: { driver: sqlite, host: box, path: /x.db, repository: nas }
`),
    known,
  );
  const partOf = (source: string): unknown =>
    JSON.parse(sourcePart(config, known, { sources: [source], machine: 'nas' }).text);
  const dump = { driver: 'command', command: ['dump-it'], filename: 'nas', repository: 'nas' };
  expect(partOf('dump')).toMatchObject({ sources: { dump } });
  expect(partOf('boxed')).toMatchObject({
    hosts: { box: { docker: 'nas' } },
    sources: { boxed: { repository: 'nas' } },
  });
});

test('a source that an agent reads must not be stored in a folder of the server', () => {
  const { warnings } = parseConfig('/etc/holdfast.yaml', Buffer.from(text), known);
  const found = warnings.filter(({ message }) => message.includes('by the agent on «far»'));
  expect(found.map(({ path, level }) => [path, level])).toEqual([
    ['sources.shop', 'warning'],
    ['sources.files', 'warning'],
  ]);
  expect(found[0].message).toContain('/srv/nas of the repository «nas» is a folder over there');
});
