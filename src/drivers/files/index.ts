/** Driver for directories and files. */
import type { Driver } from '../driver.ts';
import { captureFiles } from './capture.ts';
import { compareFiles } from './compare.ts';
import { probeFiles } from './probe.ts';
import { restoreFiles } from './restore.ts';
import { type FilesSettings, filesSettings } from './settings.ts';

export const filesDriver: Driver<FilesSettings> = {
  name: 'files',
  title: 'Files',
  settings: filesSettings,
  target: 'path',
  probe: probeFiles,
  capture: captureFiles,
  restore: restoreFiles,
  restoreThrowaway: async (source, contents, throwaway) => {
    const { bytes } = await contents.writeTree('/', throwaway.directory);
    return {
      bytes,
      compare: () => compareFiles(source, contents, throwaway),
      environment: { HOLDFAST_COPY: throwaway.directory },
      async [Symbol.asyncDispose]() {},
    };
  },
};
