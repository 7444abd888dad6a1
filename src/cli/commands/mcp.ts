import type { Command } from 'commander';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('mcp')
    .description('let an assistant ask and act, over stdin and stdout (Model Context Protocol)')
    .action(async () => {
      const [{ findLocalCatalogue }, { isServed }, { localPrincipal }, { currentUser }] = await Promise.all([
        import('../../operations/open-catalogue.ts'),
        import('../../operations/served.ts'),
        import('../../model/principal.ts'),
        import('../../base/current-user.ts'),
      ]);
      const serveStdio = await face.parts.mcp();
      const uses = { ...(await face.uses()), principal: localPrincipal(currentUser().username) };
      await using found = await findLocalCatalogue(uses);
      // One that nobody keeps up to date says less than the repositories themselves.
      const catalogue = found && (await isServed(found.catalogue)) ? found.catalogue : undefined;
      await serveStdio({ ...uses, ...(catalogue ? { catalogue } : {}), isServed: catalogue !== undefined });
    });
}
