/** Compiles the AssemblyScript kernels and writes them, base64, to where they are used. Run: node --run kernels */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));

export interface KernelSource {
  /** In kernels/assembly. */
  readonly entry: string;
  /** The generated file, and what it exports. */
  readonly file: string;
  readonly name: string;
}

export const kernels: readonly KernelSource[] = [
  { entry: 'index.ts', file: `${root}src/repository/kernel/kernel.wasm.ts`, name: 'kernelWasm' },
  { entry: 'mysql-rows.ts', file: `${root}src/drivers/mysql/row-kernel.wasm.ts`, name: 'rowKernelWasm' },
];

/** The module's bytes. Compiling is deterministic: the same sources give the same bytes. */
export async function compileKernel({ entry }: KernelSource): Promise<Uint8Array> {
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
  const { error, stderr } = await asc.main([`kernels/assembly/${entry}`, '--baseDir', root, ...options], {
    writeFile(_name, contents) {
      if (typeof contents !== 'string') wasm = contents;
    },
  });
  if (error || wasm === undefined)
    throw new Error(`the kernels do not compile:\n${stderr.toString()}`, { cause: error });
  return wasm;
}

/** The text of the generated file for a module. */
export function generatedSource({ name }: KernelSource, wasm: Uint8Array): string {
  const lines =
    Buffer.from(wasm)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  return [
    '// Generated from kernels/assembly by: node --run kernels. Do not edit.',
    `export const ${name} = \``,
    ...lines,
    '`;',
    '',
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const kernel of kernels) {
    const wasm = await compileKernel(kernel);
    writeFileSync(kernel.file, generatedSource(kernel, wasm));
    process.stdout.write(`${kernel.file}: ${wasm.byteLength} bytes of WebAssembly\n`);
  }
}
