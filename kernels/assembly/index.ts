export { INPUT_BYTES, input, parameters, stream } from './memory';
export { polyBlocks, polyFinish, polyStart } from './poly1305';
export { AREA_BYTES, counts, found, scan, tables } from './rabin';
export { allZero, applyStream, fillCounters } from './stream';
