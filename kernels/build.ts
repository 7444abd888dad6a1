/** Compiles the AssemblyScript kernels and writes them, base64, to src/repository/kernel.wasm.ts. Run: node --run kernels */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
export const generatedFile = `${root}src/repository/kernel.wasm.ts`;

/** The module's bytes. Compiling is deterministic: the same sources give the same bytes. */
export async function compileKernels(): Promise<Uint8Array> {
  let wasm: Uint8Array | undefined;
  const options = [
    '-O3',
    '--enable',
    'simd',
    '--enable',
    'relaxed-simd',
    '--runtime',
    'stub',
    '--noAssert',
    '--outFile',
    'kernel.wasm',
  ];
  const { error, stderr } = await asc.main(['kernels/assembly/index.ts', '--baseDir', root, ...options], {
    writeFile(_name, contents) {
      if (typeof contents !== 'string') wasm = contents;
    },
  });
  if (error || wasm === undefined)
    throw new Error(`the kernels do not compile:\n${stderr.toString()}`, { cause: error });
  return wasm;
}

/** The text of the generated file for a module. */
export function generatedSource(wasm: Uint8Array): string {
  const lines =
    Buffer.from(wasm)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  return [
    '// Generated from kernels/assembly by: node --run kernels. Do not edit.',
    'export const kernelWasm = `',
    ...lines,
    '`;',
    '',
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wasm = await compileKernels();
  writeFileSync(generatedFile, generatedSource(wasm));
  process.stdout.write(`${generatedFile}: ${wasm.byteLength} bytes of WebAssembly\n`);
}
