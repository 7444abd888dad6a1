import { expect, test } from 'vitest';
import { definitionText } from './definition-text.ts';

test('a default of bytes that are no UTF-8 is written as hex, and everything else as it is shown', () => {
  const shown = (bytes: number[]): Buffer =>
    Buffer.concat([
      Buffer.from("`ü DEFAULT '` varbinary(16) DEFAULT '", 'utf8'),
      Buffer.from(bytes),
      Buffer.from("',\n `x` char(9) DEFAULT 'ü''\\n' COMMENT ' DEFAULT ''ü'", 'utf8'),
    ]);
  const rest = ",\n `x` char(9) DEFAULT 'ü''\\n' COMMENT ' DEFAULT ''ü'";
  // 0xff, then a quote, a newline, a backslash and a zero as a server shows them
  const bytes = [0xff, 0x27, 0x27, 0x5c, 0x6e, 0x5c, 0x5c, 0x5c, 0x30];
  expect(definitionText(shown(bytes))).toBe(`\`ü DEFAULT '\` varbinary(16) DEFAULT x'ff270a5c00'${rest}`);
  expect(definitionText(shown([0x61]))).toBe(`\`ü DEFAULT '\` varbinary(16) DEFAULT 'a'${rest}`);
});
