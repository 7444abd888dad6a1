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
    refuseCrossSite(request, own);
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
    { method: 'PATCH' },
  ])('%o is refused', (request) => {
    expect(() => refuseCrossSite(request, own)).toThrow(/does not come from a page of this server/);
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
