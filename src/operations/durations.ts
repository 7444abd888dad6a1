/** Times as people write them, for faces. */
export { parseDuration } from '../config/index.ts';
