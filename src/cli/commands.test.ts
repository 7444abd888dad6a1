import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { completionScript, shells } from './completion.ts';
import { Face } from './face.ts';
import { families } from './families.ts';
import { buildProgram } from './run.ts';
import { Screen } from './screen.ts';

const unused = async () => {
  throw new Error('no command is run here');
};
const face = new Face({
  parts: {
    drivers: unused,
    storageKinds: unused,
    hostKinds: unused,
    channelKinds: unused,
    localHost: unused,
    openContainers: unused,
    serve: unused,
    work: unused,
    mcp: unused,
    agent: unused,
  },
  screen: new Screen({ json: false, stdout: process.stdout, stderr: process.stderr, clock: systemClock }),
  clock: systemClock,
  signal: new AbortController().signal,
  env: {},
});

function commandsBelow(command: Command, words: readonly string[] = []): string[] {
  return command.commands.flatMap((one) => {
    const path = [...words, one.name()];
    return one.commands.length === 0 ? [path.join(' ')] : commandsBelow(one, path);
  });
}

describe('the commands', () => {
  it('have the names that scripts rely on', async () => {
    const program = await buildProgram(face, undefined);
    expect(commandsBelow(program)).toEqual(
      expect.arrayContaining([
        ...['demo', 'init', 'validate', 'backup', 'snapshots', 'ls', 'find', 'diff', 'cat', 'download', 'restore'],
        ...[
          'drill',
          'proofs',
          'status',
          'forget',
          'pin',
          'unpin',
          'storage check',
          'driver check',
          'host check',
          'completion',
        ],
        ...['init', 'check', 'prune', 'stats', 'unlock', 'list', 'passwd'].map((name) => `repo ${name}`),
        ...['list', 'add', 'remove'].map((name) => `repo key ${name}`),
      ]),
    );
  });

  it('each say what they and their options do', async () => {
    const visit = (command: Command): void => {
      expect(command.description(), command.name()).not.toBe('');
      for (const option of command.options)
        expect(option.description, `${command.name()} ${option.flags}`).not.toBe('');
      command.commands.forEach(visit);
    };
    visit(await buildProgram(face, undefined));
  });

  it('are listed without being loaded, but for the one that is asked for', async () => {
    const program = await buildProgram(face, 'backup');
    expect(program.commands.map((one) => one.name())).toEqual(families.map((family) => family.name));
    expect(program.commands.filter((one) => one.options.length > 0).map((one) => one.name())).toEqual(['backup']);
  });

  it('are completed by every shell', async () => {
    const program = await buildProgram(face, undefined);
    for (const shell of shells) {
      const script = completionScript(shell, program);
      for (const word of ['repair-index', 'read-data-subset', 'keep-weekly']) expect(script, shell).toContain(word);
    }
  });
});
