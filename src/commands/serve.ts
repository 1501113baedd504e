import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import closeWithGrace from 'close-with-grace'
import type { Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
import { createLogger, type Logger } from '../core/logger.ts'
import type { Service } from '../listening.ts'

/** A stop may take so long, ms. */
const STOP_MS_MAX = 20_000
/** What becomes of what could not be saved. */
const RESTORED = 'what was acknowledged is kept, and the next start goes on from there'

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
      if (options.train !== undefined && !existsSync(options.train))
        throw new ForeshockError('FS_INPUT_INVALID', `--train ${options.train}: no such file or folder`)
      const config = loadConfig({ file: options.config, flags })
      const logger = createLogger(config.log.level)
      await runUntilStopped(() => start(config, logger, options.warmUp === true), logger)
    })
}

/**
 * Starts a service and stops it when the process is told to end, or fails. Signals are heard from the beginning: the first
 * process of a container is not ended by one that it does not hear.
 */
async function runUntilStopped(start: () => Promise<Service>, logger: Logger): Promise<void> {
  let service: Service | undefined
  const grace = closeWithGrace(
    {
      delay: STOP_MS_MAX,
      logger: false,
      onTimeout: ms => logger.fatal({ ms }, `not stopped within that time: ${RESTORED}`),
    },
    async ({ err, signal }) => {
      if (err) logger.fatal({ err }, 'stopping after an error')
      else logger.info({ signal }, 'stopping')
      if (service === undefined) {
        logger.warn({ signal }, `ended while it was starting: ${RESTORED}`)
        process.exit(signal === undefined ? 1 : 128 + constants.signals[signal])
      }
      await service.stop().catch(error => {
        logger.fatal({ err: error }, `not stopped as it should be: ${RESTORED}`)
        throw error
      })
    },
  )
  try {
    service = await start()
  } catch (error) {
    grace.uninstall()
    throw error
  }
  process.stdout.write(`Foreshock watches at ${service.url}\n`)
  // The process ends in there.
  await new Promise<never>(() => {})
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
  for (const text of passedOver(config, relearn)) logger.warn(text)
  const { startFleet } = await import('../fleet.ts')
  return startFleet(config, { logger })
}

/** What is asked for that only one process does, in words. */
export function passedOver({ warmup, detection, sources, data }: Config, relearn: boolean): string[] {
  const isAsked = (asked: boolean, text: string) => (asked ? [text] : [])
  return [
    ...isAsked(
      relearn || warmup.files !== undefined || warmup.prometheus !== undefined,
      'a fleet does not learn from history: what is configured under warmup is passed over',
    ),
    ...isAsked(
      detection.workers !== 'auto' && detection.workers > 0,
      'a fleet scores in the threads of its processes: detection.workers is passed over',
    ),
    ...isAsked(sources.host.enabled, 'a fleet measures none of its machines: sources.host is passed over'),
    ...isAsked(data.index !== 'memory', 'the index of a fleet is PostgreSQL: data.index is passed over'),
  ]
}
