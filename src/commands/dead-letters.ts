import { type Command, InvalidArgumentError } from 'commander'
import { type Letter, newestLetters } from '../bus/dead-letters.ts'
import { KafkaStreams } from '../bus/kafka-streams.ts'
import { kafkaOptions } from '../config/kafka.ts'
import { clusterConfig } from './topics.ts'

const LIMIT_MAX = 10_000
/** Characters of a message that are shown. */
const SHOWN = 60

export function addDeadLettersCommand(cli: Command): void {
  const letters = cli.command('dead-letters').description('messages that could not be used, and why')
  letters
    .command('list')
    .description('the newest, oldest of them first')
    .option('--config <file>', 'configuration file')
    .option('--limit <n>', 'how many', limitOf, 20)
    .option('--json', 'print JSON lines, with the bytes as base64')
    .action(async (options: { config?: string; limit: number; json?: boolean }) => {
      const cluster = clusterConfig(options.config)
      const streams = new KafkaStreams(kafkaOptions(cluster, 'foreshock-dead-letters'))
      try {
        const found = await newestLetters(streams, options.limit)
        for (const letter of found)
          process.stdout.write(`${options.json ? jsonLine(letter) : shownLine(letter)}\n`)
        if (found.length === 0 && !options.json) process.stdout.write('there are none\n')
      } finally {
        await streams.close()
      }
    })
}

function limitOf(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit > 0 && limit <= LIMIT_MAX) return limit
  throw new InvalidArgumentError(`a number from 1 to ${LIMIT_MAX}`)
}

const timeText = (ms: number): string => new Date(ms).toISOString()

function jsonLine({ value, timeMs, ...rest }: Letter): string {
  return JSON.stringify({ time: timeText(timeMs), ...rest, value: Buffer.from(value).toString('base64') })
}

function shownLine({ timeMs, topic, partition, offset, reason, bytes, value }: Letter): string {
  // Whatever bytes they are, they must not steer a terminal.
  const text = Buffer.from(value.subarray(0, SHOWN))
    .toString()
    .replace(/[^\x20-\x7e]/g, '·')
  return `${timeText(timeMs)}  ${topic}/${partition}/${offset}  ${reason}  (${bytes} bytes: ${text})`
}
