import { type Logger as PinoLogger, pino } from 'pino'

/** JSON logs. Parts get a child with their name. */
export type Logger = PinoLogger

/** Logs to stderr, so that stdout stays free for results. Authorisation and secrets never appear. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { service: 'foreshock' },
      redact: {
        paths: [
          'req.headers.authorization',
          'req.headers["x-api-key"]',
          'req.headers.cookie',
          '*.secret',
          '*.hash',
        ],
        censor: '(hidden)',
      },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
