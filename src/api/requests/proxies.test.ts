import { describe, expect, it } from 'vitest';
import { forwardedBy } from './proxies.ts';

function asked(trusted: readonly string[], peer: string, headers: Record<string, string>) {
  return forwardedBy(trusted)({ peer, secure: false, headers: new Headers({ host: 'own', ...headers }) });
}

describe('who asks, behind proxies', () => {
  it('is the peer itself, whatever it says, unless that is trusted', () => {
    const said = { 'x-forwarded-for': '1.1.1.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'other' };
    expect(asked([], '9.9.9.9', said)).toEqual({ address: '9.9.9.9', secure: false, host: 'own' });
    expect(asked(['10.0.0.0/8'], '9.9.9.9', said).address).toBe('9.9.9.9');
    expect(asked(['10.0.0.0/8'], '10.1.2.3', said)).toEqual({ address: '1.1.1.1', secure: true, host: 'other' });
  });

  it('is the nearest one that no trusted proxy vouches for: what stands before it anybody may have written', () => {
    const trusted = ['10.0.0.0/8', '2001:db8::/32'];
    const of = (chain: string) => asked(trusted, '10.0.0.1', { 'x-forwarded-for': chain }).address;
    expect(of('6.6.6.6, 9.9.9.9')).toBe('9.9.9.9');
    expect(of('6.6.6.6, 9.9.9.9, 10.0.0.7')).toBe('9.9.9.9');
    expect(of('6.6.6.6, 2001:db9::1, 2001:db8::5')).toBe('2001:db9::1');
    expect(of('not an address')).toBe('10.0.0.1');
    expect(of('10.0.0.5, 10.0.0.6')).toBe('10.0.0.5');
    expect(of('6.6.6.6, 9.9.9.9:5678')).toBe('9.9.9.9');
    expect(of('6.6.6.6, [2001:db9::1]:5678, [2001:db8::5]')).toBe('2001:db9::1');
    expect(of('6.6.6.6, unknown')).toBe('10.0.0.1');
    expect(of('6.6.6.6, unknown, 10.0.0.7')).toBe('10.0.0.7');
  });

  it('is an IPv4 address also where the socket is one of IPv6', () => {
    expect(asked(['127.0.0.1'], '::ffff:127.0.0.1', { 'x-forwarded-for': '::ffff:8.8.8.8' }).address).toBe('8.8.8.8');
  });
});
