import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { stateDirectory } from '../../base/state-directory.ts';
import type { AgentList } from '../../operations/agents.ts';
import { askPassword } from '../ask-password.ts';
import type { Face } from '../face.ts';
import { table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

const operations = () => import('../../operations/agents.ts');

export function add(program: Command, face: Face): void {
  const agent = program.command('agent').description('let other machines do their own backups, for this server');
  addServerSide(agent, face);
  addFarSide(agent, face);
}

function addServerSide(agent: Command, face: Face): void {
  agent
    .command('enrol')
    .description('on the server: print a token that lets one machine join, once, within an hour')
    .argument('<name>', 'the name that `hosts:` refers to as { agent: NAME }')
    .option('--replace', 'an agent of this name is followed by the machine that joins now')
    .option(
      '--address <host:port>',
      'as the machine reaches this server (default: the first of server: agents: names:)',
    )
    .action(async (name: string, options: { replace?: boolean; address?: string }) => {
      const { agentEnrol } = await operations();
      const show = { text: (made: { token: string }) => made.token };
      await withCatalogue(face, (uses) => face.perform(agentEnrol, { agent: name, ...options }, uses, show));
      face.screen.say(
        'on the machine, give this line to: holdfast agent join   (it asks for it; it is good for an hour)',
      );
    });
  agent
    .command('list')
    .description('on the server: who has joined, and who is there')
    .action(async () => {
      const { agentList } = await operations();
      await withCatalogue(face, (uses) => face.perform(agentList, {}, uses, { text: describeList }));
    });
  agent
    .command('revoke')
    .description('on the server: shut one out, now and for good')
    .argument('<name>', 'as agent list shows it')
    .action(async (name: string) => {
      const { agentRevoke } = await operations();
      await withCatalogue(face, (uses) =>
        face.perform(agentRevoke, { agent: name }, uses, { text: (one) => `✓ revoked «${one.agent}»` }),
      );
    });
}

function addFarSide(agent: Command, face: Face): void {
  agent
    .command('join')
    .description('on the machine: become an agent of the server that made the token')
    .option('--token-file <file>', 'read the token from a file, instead of HOLDFAST_AGENT_TOKEN or the input')
    .option('--replace', 'give up what this machine was before')
    .action(async (options: { tokenFile?: string; replace?: boolean }) => {
      const { join } = await face.parts.agent();
      const token = await readToken(options.tokenFile, face);
      const { replace = false } = options;
      const joined = await join({ token: token.reveal(), stateDirectory: stateDirectory(face.env), replace });
      const next = 'start it with: holdfast agent run';
      face.screen.result(joined, `✓ joined ${joined.address} as «${joined.name}»; ${next}`);
    });
  agent
    .command('run')
    .description('on the machine: keep a connection to the server and perform what it sends')
    .option('--log <level>', 'how much is logged: error, warn, info, debug', 'info')
    .action(async ({ log }: { log: string }) => {
      const { run } = await face.parts.agent();
      const { clock, signal, env } = face;
      await run({ ...{ clock, signal, env }, stateDirectory: stateDirectory(env), logLevel: log });
    });
}

/** Never an argument: every user of a machine sees those. */
async function readToken(file: string | undefined, { env, screen }: Face): Promise<Secret> {
  if (file !== undefined) return new Secret(await readTokenFile(file));
  if (env.HOLDFAST_AGENT_TOKEN) return new Secret(env.HOLDFAST_AGENT_TOKEN);
  const remedy = 'Type or pipe it in, or give --token-file FILE or HOLDFAST_AGENT_TOKEN.';
  if (process.stdin.isTTY) screen.say('the token that «holdfast agent enrol» printed on the server (it is not shown):');
  return await askPassword('token: ', { input: process.stdin, prompts: process.stderr, remedy });
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the token cannot be read from ${file}: ${messageOf(cause)}`,
      remedy: 'Check the path and that this user may read it.',
      cause,
    });
  }
}

function describeList({ agents }: AgentList): string {
  if (agents.length === 0) return 'no agents; let one in with: holdfast agent enrol NAME';
  return table(agents, [
    { title: 'NAME', value: (one) => one.name },
    { title: 'STATE', value: (one) => one.state },
    { title: 'HOSTS', value: (one) => one.hosts.join(', ') || '(none in the configuration)' },
    { title: 'MACHINE', value: (one) => one.hostname ?? '' },
    { title: 'VERSION', value: (one) => one.version ?? '' },
    { title: 'SEEN', value: (one) => one.seenAt ?? '' },
  ]);
}
