import { describe, expect, test } from 'vitest';
import { Secret } from '../../base/secrets.ts';
import {
  clearedSessionCookie,
  cookieValue,
  flowCookie,
  refuseCrossSite,
  sessionCookie,
  sessionCookieName,
} from './cross-site.ts';

const own = ['https://backup.example'];

describe('requests of other sites', () => {
  test.each([
    { method: 'POST', fetchSite: 'same-origin' },
    { method: 'DELETE', origin: 'https://backup.example' },
    { method: 'GET', fetchSite: 'cross-site', origin: 'https://evil.example' },
    { method: 'HEAD' },
  ])('%o is let through', (request) => {
    for (const cookies of [false, true]) refuseCrossSite({ ...request, cookies }, own);
  });

  test('one of a program, with neither cookies nor a word of a browser, is let through; with cookies it is refused', () => {
    refuseCrossSite({ method: 'POST', cookies: false }, own);
    expect(() => refuseCrossSite({ method: 'POST', cookies: true }, own)).toThrow(/does not come from a page/);
  });

  test.each([
    { method: 'POST', fetchSite: 'cross-site', origin: 'https://evil.example' },
    { method: 'POST', fetchSite: 'same-site', origin: 'https://other.backup.example' },
    { method: 'POST', fetchSite: 'none' },
    { method: 'POST', origin: 'https://evil.example' },
    { method: 'POST', origin: 'null' },
    { method: 'POST', origin: 'http://backup.example' },
    { method: 'POST', origin: 'https://backup.example:8443' },
    { method: 'POST', fetchSite: 'cross-site', origin: 'https://backup.example' },
  ])('%o is refused', (request) => {
    for (const cookies of [false, true]) {
      expect(() => refuseCrossSite({ ...request, cookies }, own)).toThrow(/does not come from a page of this server/);
    }
  });
});

describe('cookies', () => {
  const session = new Secret('abc');
  test('of a session are for this server, over TLS, and for no script and no other site', () => {
    expect(sessionCookie(session, 0, { secure: true })).toBe(
      '__Host-holdfast=abc; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Strict; Secure',
    );
    expect(sessionCookie(session, 0, { secure: false })).not.toMatch(/Secure|__Host/);
    expect(flowCookie(session, 0, { secure: true })).toContain('SameSite=Lax');
    expect(clearedSessionCookie({ secure: true })).toMatch(/^__Host-holdfast=; .*1970/);
  });

  test('are found by their whole name, once', () => {
    const name = sessionCookieName({ secure: true });
    expect(cookieValue(`a=1; ${name}=xyz; b=2`, name)?.reveal()).toBe('xyz');
    for (const header of [undefined, '', `x${name}=1`, `${name}=`, `${name}=1; ${name}=2`]) {
      expect(cookieValue(header, name)).toBeUndefined();
    }
  });
});
