import type { Command } from 'commander';
import type { PlanOutput } from '../../operations/configuration/plan.ts';
import type { Face } from '../face.ts';
import { describePlan } from '../plan-text.ts';

export function add(program: Command, face: Face): void {
  program
    .command('plan')
    .description('what holdfast.yaml would change compared with what is in use, and what that comes to')
    .option('--check', 'exit status 1 if anything is different')
    .action(async ({ check }: { check?: boolean }) => {
      const [{ plan }, { findLocalCatalogue }] = await Promise.all([
        import('../../operations/configuration/plan.ts'),
        import('../../operations/open-catalogue.ts'),
      ]);
      const uses = await face.uses();
      await using access = await findLocalCatalogue(uses);
      await face.perform(
        plan,
        {},
        { ...uses, ...(access ? { catalogue: access.catalogue, principal: access.principal } : {}) },
        {
          text: describePlan,
          wrong: (output: PlanOutput) => output.dangers > 0 || (check === true && output.changes.length > 0),
        },
      );
    });
}
