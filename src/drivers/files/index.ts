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
  probe: probeFiles,
  capture: captureFiles,
  restore: restoreFiles,
  restoreThrowaway: async (_source, contents, throwaway) => {
    const { bytes } = await contents.writeTree('/', throwaway.directory);
    return { bytes };
  },
  compareThrowaway: compareFiles,
};
