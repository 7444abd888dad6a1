import { expect, test } from 'vitest';
import { Secret } from '../../base/secrets.ts';
import { Authorizer, challengesIn } from './authorizer.ts';
import { parseWebdavUrl } from './location.ts';

const signIn = (auth: 'auto' | 'basic' | 'digest') => ({
  user: 'Mufasa',
  password: new Secret('Circle of Life'),
  auth,
});
const digest =
  'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';

test('several challenges stand in one header; what is not known is passed over', () => {
  expect(challengesIn(`Negotiate, ${digest}, Basic realm="a, Digest b"`)).toMatchObject([
    { realm: 'http-auth@example.org', hash: 'md5', quality: true },
    'basic',
  ]);
  expect(challengesIn('Digest realm="x", nonce="y", algorithm=MD5-sess')).toEqual([]);
});

test('the password is not shown where a digest will do, and never unasked', () => {
  const authorizer = new Authorizer(signIn('auto'));
  expect(authorizer.header('GET', '/')).toBeUndefined();
  expect(authorizer.learn(`Basic realm="x", ${digest}`, undefined)).toBe(true);
  const sent = authorizer.header('GET', '/dir/index.html') ?? '';
  expect(sent).toMatch(/^Digest username="Mufasa".*uri="\/dir\/index.html".*nc=00000001/);
  expect(sent).not.toContain('Life');
  expect(authorizer.learn(digest, sent)).toBe(false);
  expect(authorizer.learn(`${digest.replace('7ypf', '8zpf')}, stale=true`, sent)).toBe(true);
  expect(new Authorizer(signIn('digest')).learn('Basic realm="x"', undefined)).toBe(false);
});

test('a wrong password is tried once', () => {
  const authorizer = new Authorizer(signIn('basic'));
  const sent = authorizer.header('GET', '/');
  expect(sent).toBe(`Basic ${Buffer.from('Mufasa:Circle of Life').toString('base64')}`);
  expect(authorizer.learn('Basic realm="x"', sent)).toBe(false);
});

test('both forms of the URL are read; what is shown has no password', () => {
  for (const scheme of ['webdav:', 'webdav+']) {
    const place = parseWebdavUrl(`${scheme}https://me:ge%3Aheim@nas:8443/dav/x`);
    expect(place).toMatchObject({ protocol: 'https:', host: 'nas:8443', path: '/dav/x/', user: 'me' });
    expect(place.password?.reveal()).toBe('ge:heim');
    expect(place.shown).toBe('webdav:https://nas:8443/dav/x/');
  }
  for (const url of ['webdav:', 'webdav:nas/x', 'webdav:http://me:geheim@nas/?x']) {
    expect(() => parseWebdavUrl(url), url).toThrow(/begins with webdav/);
    expect(() => parseWebdavUrl(url), url).not.toThrow(/geheim/);
  }
});
