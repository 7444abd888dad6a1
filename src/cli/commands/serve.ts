import type { Command } from 'commander';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('serve')
    .description('run day and night: schedules, the HTTP API, notifications')
    .option('--listen <address>', 'HOST:PORT to listen on, instead of what the configuration says')
    .option('--log <level>', 'how much is logged: error, warn, info, debug', 'info')
    .action(async (options: { listen?: string; log: string }) => {
      const serve = await face.parts.serve();
      const { listen, log } = options;
      await serve({ uses: await face.uses(), listen, logLevel: log, say: (text) => face.screen.say(text) });
    });
}
