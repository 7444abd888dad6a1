import type { Command } from 'commander';
import { HoldfastError } from '../../base/errors.ts';
import type { TokensOutput } from '../../operations/accounts/tokens.ts';
import { parseDuration } from '../../operations/durations.ts';
import type { Face } from '../face.ts';
import { collect } from '../options.ts';
import { localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

interface CreateOptions {
  readonly user?: string;
  readonly role: string;
  readonly workspace: string;
  readonly source?: string[];
  readonly expires: string;
}

const operations = () => import('../../operations/accounts/tokens.ts');

export function add(program: Command, face: Face): void {
  const token = program.command('token').description('tokens for programs that use the API');
  token
    .command('list')
    .description('all tokens, the newest first')
    .option('--user <name>', 'only of this account')
    .action(async (options: { user?: string }) => {
      const { listTokens } = await operations();
      await withCatalogue(face, (uses) => face.perform(listTokens, options, uses, { text: describeList }));
    });
  token
    .command('create')
    .description('make a token; it is printed this once')
    .argument('<title>', 'what it is for')
    .option('--user <name>', 'whose it is: it never may more than they may')
    .option('--role <role>', 'viewer, restorer, operator, admin or owner', 'viewer')
    .option('--workspace <name>', 'only there', '*')
    .option('--source <name>', 'only this source; may be repeated', collect)
    .option('--expires <time>', 'after how long, like 90d; or never', '90d')
    .action(async (title: string, { source, expires, ...rest }: CreateOptions) => {
      const { createToken } = await operations();
      const input = { title, ...rest, sources: source, expiresInDays: daysOf(expires) };
      await withCatalogue(face, (uses) => face.perform(createToken, input, uses, { text: (made) => made.token }));
      face.screen.say('keep it well: it is not shown again, only a hash of it is kept');
    });
  token
    .command('revoke')
    .description('from now on it says nothing')
    .argument('<id>', 'its id, as token list shows it')
    .action(async (id: string) => {
      const { revokeToken } = await operations();
      await withCatalogue(face, (uses) =>
        face.perform(revokeToken, { token: id }, uses, { text: (one) => `✓ revoked «${one.title}»` }),
      );
    });
}

function daysOf(text: string): number | null {
  if (text === 'never') return null;
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return Math.ceil(ms / 86_400_000);
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `--expires: «${text}» is not a duration`,
    remedy: 'Write it like 30d or 1y; or never.',
  });
}

function describeList({ tokens }: TokensOutput): string {
  if (tokens.length === 0) return 'there are no tokens';
  return table(tokens, [
    { title: 'ID', value: (one) => one.id },
    { title: 'TITLE', value: (one) => one.title },
    { title: 'USER', value: (one) => one.user },
    { title: 'BEGINS', value: (one) => `${one.prefix}…` },
    { title: 'ROLE', value: (one) => (one.workspace === '*' ? one.role : `${one.workspace}:${one.role}`) },
    { title: 'SOURCES', value: (one) => one.sources?.join(' ') ?? 'all' },
    { title: 'LAST USED', value: (one) => (one.lastUsedAtMs === undefined ? 'never' : localTime(one.lastUsedAtMs)) },
    { title: 'EXPIRES', value: (one) => (one.expiresAtMs === undefined ? 'never' : localTime(one.expiresAtMs)) },
    { title: '', value: (one) => (one.revokedAtMs === undefined ? '' : 'revoked') },
  ]);
}
