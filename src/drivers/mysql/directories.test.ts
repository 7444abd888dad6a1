import { expect, test } from 'vitest';
import { withoutDirectories } from './directories.ts';

test('a definition says nothing of directories, and keeps what only looks like it', () => {
  const columns = "CREATE TABLE `t DATA DIRECTORY='x'` (\n  `a` int COMMENT ' DATA DIRECTORY=''/x'''\n) ENGINE=InnoDB";
  expect(withoutDirectories(`${columns} DATA DIRECTORY='/mnt/it''s/' INDEX DIRECTORY='/mnt/'`)).toBe(columns);
  const parts = (where: string) => `${columns}\n (PARTITION \`p0\` VALUES LESS THAN (9)${where} ENGINE = InnoDB)`;
  expect(withoutDirectories(parts(" DATA DIRECTORY = '/mnt'"))).toBe(parts(''));
});
