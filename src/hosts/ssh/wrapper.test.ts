/** The wrapper in the shells of this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeName, encodeName } from '../../base/names.ts';
import type { HostCommand } from '../host.ts';
import { wrapperCommand, wrapperInput } from './wrapper.ts';

const shells = ['/bin/sh', '/bin/bash', '/bin/dash', '/usr/bin/zsh', '/usr/bin/fish', '/bin/tcsh', '/bin/mksh'];

function start(shell: string, command: HostCommand, rest: Uint8Array | string = '') {
  const input = Buffer.concat([Buffer.from(wrapperInput('token', command)), Buffer.from(rest)]);
  return spawnSync(shell, ['-c', wrapperCommand], { input, env: { PATH: process.env.PATH } });
}

describe.each(shells.filter((shell) => existsSync(shell)))('under the login shell %s', (shell) => {
  test('arguments, variables, the directory and the rest of the input arrive as they are', () => {
    const hostile = [
      '$(echo no)',
      '`no`',
      "it's",
      '"',
      '*',
      '',
      'a\nb\n',
      '-n',
      '\\',
      '!!',
      '%s',
      '\x01\x81\udcff\udc81',
    ];
    const env = { A: 'x\ny\n', B: '\udcff\udc80é\\/' };
    const argv = ['sh', '-c', 'printf "%s|" "$A" "$B" "$PWD" "$@"; cat', 'sh', ...hostile];
    const { stdout, status, stderr } = start(shell, { argv, env, cwd: '/usr' }, 'first\0\nsecond');
    const wanted = [env.A, env.B, '/usr', ...hostile].map((text) => `${decodeName(encodeName(text))}|`).join('');
    expect(decodeName(stdout)).toBe(`token\n${wanted}first\0\nsecond`);
    expect({ status, stderr: stderr.toString() }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/token \d+ \d+\n$/),
    });
  });

  test('what is missing is told, and nothing runs', () => {
    // a shell's start files may complain before
    const said = (command: HostCommand): string => start(shell, command).stderr.toString();
    expect(start(shell, { argv: ['holdfast-no-such-program'] })).toMatchObject({ status: 127 });
    expect(said({ argv: ['holdfast-no-such-program'] })).toMatch(/token missing\n$/);
    expect(said({ argv: ['/no/such'] })).toMatch(/token missing\n$/);
    expect(said({ argv: ['true'], cwd: '/no/such' })).toMatch(/token directory\n$/);
    expect(start(shell, { argv: ['cd'] }).stdout.toString()).toBe('');
  });
});

test('any bytes but zeros pass', () => {
  const bytes = fc
    .uint8Array({ minLength: 0, maxLength: 60 })
    .map((raw) => decodeName(raw.filter((byte) => byte !== 0)));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 4 }), bytes, (args, value) => {
      const argv = ['sh', '-c', 'printf "%s|" "$VALUE" "$@"', 'sh', ...args];
      const { stdout } = start('/bin/sh', { argv, env: { VALUE: value } });
      const wanted = Buffer.concat([value, ...args].flatMap((text) => [encodeName(text), Buffer.from('|')]));
      expect(stdout.subarray('token\n'.length).equals(wanted)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('neither secrets nor arguments are in the command line', () => {
  expect(wrapperCommand).not.toContain('\n');
  expect(wrapperCommand.slice("exec /bin/sh -c '".length, -1)).not.toMatch(/['\\!]/);
});

test('names no shell has, and zero bytes, are refused', () => {
  expect(() => wrapperInput('t', { argv: ['true'], env: { 'a-b': 'x' } })).toThrow(/a-b/);
  expect(() => wrapperInput('t', { argv: ['true', 'a\0b'] })).toThrow(/zero byte/);
});
