/** What the driver does, loaded when a source needs it. */
import type { RestoredCopy, SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { compareFiles } from './compare.ts';
import type { FilesSettings } from './settings.ts';

export { captureFiles as capture } from './capture.ts';
export { extent } from './extent.ts';
export { probeFiles as probe } from './probe.ts';
export { restoreFiles as restore } from './restore.ts';
export { nativeSteps, runbook } from './runbook.ts';

export async function restoreThrowaway(
  source: SourceContext<FilesSettings>,
  contents: SnapshotContents,
  throwaway: Throwaway,
): Promise<RestoredCopy> {
  const { bytes } = await contents.writeTree('/', throwaway.directory);
  return {
    bytes,
    compare: () => compareFiles(source, contents, throwaway),
    environment: { HOLDFAST_COPY: throwaway.directory },
    async [Symbol.asyncDispose]() {},
  };
}
