import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readScript, type Section, type Statement, sectionText, statementText } from './script.ts';

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(text: string, size = 1 << 20): Promise<Statement[]> {
  const found: Statement[] = [];
  for await (const one of readScript(inPieces(Buffer.from(text, 'utf8'), size))) found.push(one);
  return found;
}

const end = sectionText({ kind: 'end' });
const line = fc.oneof(
  fc.constantFrom(
    ';',
    ';;',
    ';;;',
    '$$1$$',
    'DELIMITER ;;',
    '-- section {"kind":"end"}',
    'END;',
    'x;',
    '',
    '-- a',
    "';'",
  ),
  fc.string(),
);

test('statements come out as they went in, whatever delimiters and marks they hold, in pieces of any size', async () => {
  const sql = fc.array(line, { minLength: 1, maxLength: 8 }).map((lines) => `CREATE ${lines.join('\n')} END`);
  await fc.assert(
    fc.asyncProperty(fc.array(sql, { maxLength: 6 }), fc.integer({ min: 1, max: 64 }), async (statements, size) => {
      const section: Section = { kind: 'program', program: 'trigger', name: 'a`\n"; --' };
      const text = sectionText(section) + statements.map(statementText).join('') + end;
      expect(await readAll(text, size)).toEqual(statements.map((one) => ({ section, sql: one })));
    }),
  );
});

test('a dump that was cut anywhere is refused', async () => {
  const text = `${sectionText({ kind: 'rows', name: 't' })}INSERT INTO t VALUES\n(1,'a;'),\n(2,'b');\n${end}-- that is all\n`;
  await expect(readAll(text)).resolves.toHaveLength(1);
  for (let at = 0; at < text.indexOf('{"kind":"end"}'); at++) {
    await expect(readAll(text.slice(0, at)), `cut at ${at}`).rejects.toMatchObject({ code: 'restore.failed' });
  }
});

test('a comment at the end of a statement does not hide from a client where it ends', () => {
  for (const sql of [
    'CREATE FUNCTION f() RETURNS INT RETURN 1 -- its end',
    'CREATE PROCEDURE p() SELECT 1 # its end',
  ]) {
    expect(statementText(sql)).toBe(`DELIMITER ;;\n${sql}\n;;\nDELIMITER ;\n`);
  }
});
