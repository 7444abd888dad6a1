/** The operational log of a process: JSON lines on stderr, by pino. Run output for people is the CLI's business, not this. */
import { type Logger, pino } from 'pino';

export type Log = Logger;

export function createLog(options: { level: string; destination?: number }): Log {
  return pino({ level: options.level, base: null }, pino.destination({ dest: options.destination ?? 2, sync: true }));
}
