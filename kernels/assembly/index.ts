export { input, parameters, stream } from './memory';
export { polyBlocks, polyFinish, polyStart } from './poly1305';
export { found, prepareTables, scan, tables } from './rabin';
export { allZero, applyStream, fillCounters } from './stream';
