import type { Command } from 'commander';
import { HoldfastError } from '../../base/errors.ts';
import type { Face } from '../face.ts';

const usualCapacity = 2;

export function add(program: Command, face: Face): void {
  program
    .command('worker')
    .description('take runs from a catalogue in PostgreSQL, beside a server')
    .option('--capacity <n>', `runs at a time (default: ${usualCapacity})`)
    .option('--log <level>', 'how much is logged: error, warn, info, debug', 'info')
    .action(async (options: { capacity?: string; log: string }) => {
      const capacity = Number(options.capacity ?? usualCapacity);
      if (!Number.isInteger(capacity) || capacity < 1) {
        const remedy = 'Give a whole number from 1.';
        throw new HoldfastError({ code: 'usage.invalid', message: '--capacity is not a number of runs', remedy });
      }
      const work = await face.parts.work();
      await work({ uses: await face.uses(), capacity, logLevel: options.log, say: (text) => face.screen.say(text) });
    });
}
