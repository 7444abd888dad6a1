import { describe, expect, it } from 'vitest';
import { addressOf, nameOf, placeOf, titleOf } from './address.ts';
import { settings } from './settings.ts';

const at = (url: string) => settings.parse({ url });

describe('a MongoDB URL', () => {
  it('names members, the set, and who signs in where', async () => {
    const place = await placeOf(
      at('mongodb://ho%40ld@a:27018,[::1],c.example/?replicaSet=rs0&authSource=admin&tls=true'),
    );
    expect(place).toEqual({
      title: 'mongodb://a:27018,[::1],c.example',
      user: 'ho@ld',
      seeds: [
        { host: 'a', port: 27018 },
        { host: '::1', port: 27017 },
        { host: 'c.example', port: 27017 },
      ],
      replicaSet: 'rs0',
      authSource: 'admin',
      authMechanism: undefined,
      tls: true,
    });
  });

  it('takes the database of its path as the one the user is of', async () => {
    expect((await placeOf(at('mongodb://u@h/shop'))).authSource).toBe('shop');
    expect((await placeOf(at('mongodb://u@h'))).authSource).toBeUndefined();
  });

  it('holds no password, and no option that would be ignored in silence', async () => {
    expect(settings.safeParse({ url: 'mongodb://user:secret@h' }).success).toBe(false);
    expect(settings.safeParse({ url: 'http://h' }).success).toBe(false);
    await expect(placeOf(at('mongodb://h/?tlsInsecure=true'))).rejects.toThrow('«tlsInsecure»');
    await expect(placeOf(at('mongodb://h/?retryWrites=true&w=majority'))).resolves.toBeDefined();
  });

  it('is shown without user and options', () => {
    expect(titleOf(at('mongodb+srv://me@cluster0.example/?tls=true'))).toBe('mongodb+srv://cluster0.example');
    expect(titleOf(settings.parse({ socket: '/run/mongodb.sock' }))).toBe('/run/mongodb.sock');
  });

  it('has addresses that read back', () => {
    for (const text of ['a:1', '[::1]:27017', '10.0.0.1:5']) expect(nameOf(addressOf(text))).toBe(text);
  });
});
