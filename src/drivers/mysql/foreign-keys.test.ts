import { expect, test } from 'vitest';
import { withParents } from './foreign-keys.ts';

test('references go where they are told, and nothing that only looks like one', () => {
  const text =
    "COMMENT 'x FOREIGN KEY (`a`) REFERENCES `core`.`t` it''s \\' (`a`)',\n  KEY `FOREIGN KEY (a) REFERENCES core` (`a`),\n";
  const key = (parent: string): string => `  CONSTRAINT \`k\` FOREIGN KEY (\`a\`) REFERENCES ${parent} (\`id\`)`;
  const told = withParents(
    `${text}${key('`core`.`t``1`')},\n${key('`own`')},\n${key('`else`.`t`')}`,
    (database, table) => {
      if (database === 'core') return `\`aside\`.\`${table.replaceAll('`', '``')}\``;
      return database === undefined ? `\`target\`.\`${table}\`` : undefined;
    },
  );
  expect(told).toBe(`${text}${key('`aside`.`t``1`')},\n${key('`target`.`own`')},\n${key('`else`.`t`')}`);
});

test('the sequence that numbers a column goes where it is told', () => {
  const column = (where: string): string =>
    `\`id\` int NOT NULL DEFAULT nextval(${where}.\`s\`) COMMENT 'nextval(\`shop\`.\`s\`)',`;
  const told = withParents(column('`shop`'), (database, table) => database && `\`${database}_2\`.\`${table}\``);
  expect(told).toBe(column('`shop_2`'));
});
