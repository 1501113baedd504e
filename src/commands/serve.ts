import closeWithGrace from 'close-with-grace'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { createLogger } from '../core/logger.ts'

export function addServeCommand(cli: Command): void {
  cli
    .command('serve')
    .description('the service: takes metrics in, publishes ranked disruptions')
    .option(
      '--config <file>',
      'configuration file; default: foreshock.yaml in this folder, when there is one',
    )
    .option(
      '--train <file|dir>',
      'recorded metrics to learn from before anything live is judged, as replay reads them',
    )
    .option('--warm-up', 'drop what was learned and learn from the configured history anew')
    .action(async (options: { config?: string; train?: string; warmUp?: boolean }) => {
      const flags = options.train === undefined ? {} : { FORESHOCK_WARMUP_FILES: options.train }
      const config = loadConfig({ file: options.config, flags })
      const logger = createLogger(config.log.level)
      const { startService } = await import('../main.ts')
      const service = await startService(config, { logger, relearn: options.warmUp === true })
      process.stdout.write(`Foreshock watches at ${service.url}\n`)
      await new Promise<void>(stopped => {
        closeWithGrace({ delay: 20_000, logger: false }, async ({ err, signal }) => {
          if (err) logger.fatal({ err }, 'stopping after an error')
          else logger.info({ signal }, 'stopping')
          await service.stop()
          stopped()
        })
      })
    })
}
