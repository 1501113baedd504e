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
    .action(async (options: { config?: string }) => {
      const config = loadConfig({ file: options.config })
      const logger = createLogger(config.log.level)
      const { startService } = await import('../main.ts')
      const service = await startService(config, { logger })
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
