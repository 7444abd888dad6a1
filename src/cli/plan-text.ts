/** A plan as people read it. */
import type { PlanOutput } from '../operations/configuration/plan.ts';
import { counted } from './table.ts';

type Change = PlanOutput['changes'][number];

const signs = { added: '+', removed: '-', changed: '~' } as const;
const marks = { note: ' ', warning: '!', danger: '!!' } as const;

export function describePlan(output: PlanOutput): string {
  const { inUse, file, changes, leftOut } = output;
  const head = inUse
    ? [
        `compared with what is in use since ${inUse.since.slice(0, 16).replace('T', ' ')} (${inUse.by}${inUse.file === file ? '' : `, ${inUse.file}`})`,
      ]
    : ['nothing is in use yet: everything is new'];
  const left = leftOut.map(
    (one) => `!! ${one.from}: ${one.path} ${one.message}: it would not be used\n     ${one.remedy}`,
  );
  if (changes.length === 0) return [...head, ...left, 'no differences'].join('\n');
  return [...head, '', ...describeChanges(changes), ...left, '', summary(output)].join('\n');
}

export function describeChanges(changes: readonly Change[]): string[] {
  return changes.flatMap(describeChange);
}

function describeChange({ section, name, change, fields, consequences }: Change): string[] {
  const entry = section === 'server' ? 'server' : `${section}.${name}`;
  return [
    `${signs[change]} ${entry}`,
    ...fields.map(({ path, before, after }) => `    ${path}: ${before ?? '(none)'} → ${after ?? '(none)'}`),
    ...consequences.map(({ level, text }) => `  ${marks[level].padEnd(2)}${text}`),
  ];
}

function summary({ counts: { added, changed, removed }, warnings, dangers }: PlanOutput): string {
  const parts = [`${added} to add`, `${changed} to change`, `${removed} to remove`];
  if (warnings > 0) parts.push(counted(warnings, 'warning'));
  if (dangers > 0) parts.push(`${counted(dangers, 'change')} that can hardly be meant (!!)`);
  return parts.join(', ');
}
