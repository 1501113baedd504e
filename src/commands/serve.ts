import closeWithGrace from 'close-with-grace'
import type { Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { loadConfig } from '../config.ts'
import { createLogger, type Logger } from '../core/logger.ts'
import type { Service } from '../listening.ts'

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
      const service = await start(config, logger, options.warmUp === true)
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

/** One process, or this process's roles of a fleet. */
async function start(config: Config, logger: Logger, relearn: boolean): Promise<Service> {
  if (config.cluster === undefined) {
    const { startService } = await import('../main.ts')
    const onFatal = (err: Error) => {
      logger.fatal({ err }, 'ending at once; the next start reads from the journal what is not saved')
      process.exit(1)
    }
    return startService(config, { logger, relearn, onFatal })
  }
  if (relearn || config.warmup.files !== undefined || config.warmup.prometheus !== undefined)
    logger.warn('a fleet does not learn from history: what is configured under warmup is passed over')
  const { startFleet } = await import('../fleet.ts')
  return startFleet(config, { logger })
}
