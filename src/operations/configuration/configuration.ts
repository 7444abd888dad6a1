/** The configuration, for faces. */
import { type Config, emptyConfig, type Known, loadConfig } from '../../config/index.ts';

export { withContainerSecrets, withLabels } from './labels/with-labels.ts';
export type { Config, Known };
export { emptyConfig, loadConfig };
