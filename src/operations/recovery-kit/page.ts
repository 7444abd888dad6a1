/** What a recovery kit says. Its commands are meant to be typed as they are: nothing in them is a placeholder. */
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep } from '../../drivers/driver.ts';
import type { ResticAccess } from '../../storage/restic-access.ts';
import { type Block, heading, type Page, shell, text } from './document.ts';

export interface KitSource {
  /** Its name, or what a snapshot of another program says. */
  readonly name: string;
  readonly driver: string;
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly snapshots: number;
  readonly newestId: string;
  readonly newestTime: string;
  /** How restic is told which snapshot: words of a shell. */
  readonly selection: string;
  readonly steps: readonly NativeStep[];
  /** Why there are no steps. */
  readonly problem?: string;
}

export interface KitFacts {
  readonly name: string;
  readonly url: string;
  readonly id: string;
  readonly version: number;
  readonly made: string;
  readonly madeBy: string;
  readonly keys: readonly {
    readonly id: string;
    readonly created: string;
    readonly by: string;
    readonly current: boolean;
  }[];
  readonly passwordPlace: string;
  /** Printed only when that was asked for. */
  readonly password?: string;
  readonly access: ResticAccess;
  readonly sources: readonly KitSource[];
  readonly hasState: boolean;
}

export function kitPage(facts: KitFacts): Page {
  return {
    title: `Recovery kit of the repository «${facts.name}»`,
    blocks: [
      text(
        `Made on ${facts.made} by ${facts.madeBy}. With this page and the password everything in the repository can be restored,`,
        'with Holdfast or without it. Print it, write the password on it, check that you can read it, and keep it where a fire or',
        'a thief at the machine does not reach it. Make a new one when a password, a key, the address or the sources change.',
      ),
      ...aboutRepository(facts),
      ...secretBlanks(facts),
      ...withRestic(facts),
      ...facts.sources.flatMap((source) => sourceBlocks(source, facts)),
      ...withHoldfast(facts),
    ],
  };
}

function aboutRepository({ url, id, version, keys, passwordPlace, sources }: KitFacts): Block[] {
  const oldest = keys.map(({ created }) => created).sort((a, b) => (a < b ? -1 : 1))[0];
  const rows: [string, string][] = [
    ['address', url],
    ['id', id],
    ['format', `restic repository, version ${version}: encrypted, deduplicated; restic and Holdfast read it`],
    ...(oldest === undefined ? [] : [['oldest key made', oldest] as [string, string]]),
    ...keys.map((key): [string, string] => [
      `key ${key.id.slice(0, 8)}`,
      `made ${key.created} by ${key.by}${key.current ? ' (its password is the one meant here)' : ''}`,
    ]),
    ['Holdfast takes the password from', passwordPlace],
    ...sources.map((one): [string, string] => [
      one.name,
      `${one.driver}, from ${one.hostname}: ${one.snapshots} snapshots, the newest ${one.newestId.slice(0, 8)} of ${one.newestTime}; ${one.paths.join(', ')}`,
    ]),
  ];
  return [heading('What it is'), { kind: 'facts', rows }];
}

function secretBlanks({ password, access }: KitFacts): Block[] {
  const secrets = access.env.filter(({ value }) => value === undefined);
  return [
    heading('Secrets'),
    text('Without the password nobody can read the repository, and nobody can make another one for it.'),
    password === undefined
      ? { kind: 'blank', label: 'Password of the repository' }
      : { kind: 'facts', rows: [['Password of the repository', password]] },
    ...secrets.map(({ what, name }): Block => ({ kind: 'blank', label: `${capital(what)} (${name})` })),
  ];
}

const passwordPrompt: readonly Block[] = [
  text('The password of the repository; type it after this line, then press Enter:'),
  shell('IFS= read -r RESTIC_PASSWORD && export RESTIC_PASSWORD'),
];

function withRestic({ access }: KitFacts): Block[] {
  return [
    heading('With restic alone'),
    ...resticSession(access, passwordPrompt),
    text('What is in it, and whether it is sound (the last line reads all data, which may take long):'),
    shell(restic(access, 'snapshots'), restic(access, 'check'), `# ${restic(access, 'check --read-data')}`),
  ];
}

/** From an empty shell to one in which restic knows the repository. `password`: how it is given. */
export function resticSession(access: ResticAccess, password: readonly Block[]): Block[] {
  const given = access.env.filter(({ value }) => value !== undefined);
  return [
    text(
      'restic is in the packages of most systems, or at https://restic.net; version 0.14 or newer. Type each box into one shell, box by box.',
      ...access.notes,
    ),
    text('Everything is restored below this directory, which needs room for it:'),
    shell('mkdir -p "$HOME/recovery" && cd "$HOME/recovery"'),
    ...password,
    ...access.env.flatMap(({ name, value, what }): Block[] =>
      value === undefined ? [text(`The ${what}, likewise:`), shell(`IFS= read -r ${name} && export ${name}`)] : [],
    ),
    text('Where it is:'),
    shell(
      ...given.map(({ name, value }) => `export ${name}="${value}"`),
      `export RESTIC_REPOSITORY="${access.repository.replace(/[\\"`]/g, '\\$&')}"`,
    ),
  ];
}

export function restic({ options }: ResticAccess, command: string): string {
  return ['restic', ...options, command].join(' ');
}

function sourceBlocks(source: KitSource, { access }: KitFacts): Block[] {
  const folder = recoveryFolder(source.name);
  return [
    heading(`${source.name} (${source.driver}, from ${source.hostname})`),
    text(
      `The newest snapshot; for an older one put its id from the list in the place of «latest». When this was printed it was ${source.newestId.slice(0, 8)} of ${source.newestTime}.`,
    ),
    shell(restic(access, `restore ${source.selection} --target ${folder}`), `cd ${folder}`),
    ...stepBlocks(source.steps),
    ...(source.problem === undefined
      ? []
      : [text(`What to do with the files could not be found out: ${source.problem}`)]),
  ];
}

/** A word of a shell. */
export function recoveryFolder(name: string): string {
  return `"$HOME/recovery"/${shellWord(name.replace(/[^\w.-]+/g, '-'))}`;
}

export function stepBlocks(steps: readonly NativeStep[]): Block[] {
  return steps.flatMap(({ text: sentence, command }): Block[] =>
    command === undefined ? [text(sentence)] : [text(sentence), shell(command)],
  );
}

function withHoldfast({ url, hasState, sources, access }: KitFacts): Block[] {
  const variables = access.env.map(({ name }) => name).filter((name) => name.startsWith('AWS_'));
  return [
    heading('With Holdfast, on a machine that has nothing'),
    text(
      'Install Holdfast, then let it read from the repository what it needs; it asks for the password.',
      hasState
        ? 'The configuration comes back as it was, without the secrets it names: it lists which have to be provided again.'
        : 'The repository holds no configuration yet: one is written from the snapshots and has to be completed.',
      ...(variables.length > 0 ? [`Set ${variables.join(', ')} first.`] : []),
    ),
    shell(`holdfast init --from ${shellWord(url)}`),
    text('Then, for everything that is to be back where it was:'),
    shell(
      'holdfast validate --secrets',
      ...sources.map(({ name }) => `holdfast restore ${shellWord(name)} --in-place`),
      'holdfast drill --all',
      'holdfast backup --all',
    ),
  ];
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
