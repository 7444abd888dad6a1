import type { Command } from 'commander';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('mcp')
    .description('let an assistant ask and act, over stdin and stdout (Model Context Protocol)')
    .action(async () => await (face.server === undefined ? serveHere(face) : handOn(face, face.server)));
}

async function serveHere(face: Face): Promise<void> {
  const [{ findServedCatalogue }, { localPrincipal }, { currentUser }] = await Promise.all([
    import('../../operations/served.ts'),
    import('../../model/principal.ts'),
    import('../../base/current-user.ts'),
  ]);
  const { serveStdio } = await face.parts.mcp();
  const uses = { ...(await face.uses()), principal: localPrincipal(currentUser().username) };
  await using served = await findServedCatalogue(uses);
  await serveStdio({ ...uses, ...(served ? { catalogue: served.catalogue } : {}), isServed: served !== undefined });
}

/** To the server, with the token that the other commands use. */
async function handOn(face: Face, url: string): Promise<void> {
  const [{ proxyStdio }, { readToken }] = await Promise.all([face.parts.mcp(), import('../remote/token.ts')]);
  await proxyStdio({ url, token: await readToken(face.env), signal: face.signal });
}
