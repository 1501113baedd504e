#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { addCommands } from './commands/catalogue.ts'
import { ForeshockError } from './core/errors.ts'
import { VERSION } from './core/version.ts'

/** What every command obeys: 0 done, 1 failed, 2 wrong usage or bad input with one clear line. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'FS_INPUT_INVALID',
  'FS_INPUT_TOO_LARGE',
  'FS_CONFIG_INVALID',
  'FS_AUTH_REQUIRED',
  'FS_EXPRESSION_INVALID',
  'FS_MODEL_INVALID',
])

async function program(words: readonly string[]): Promise<Command> {
  const cli = new Command('foreshock')
    .description('Early warning for everything you run: metrics in, ranked disruptions out.')
    .version(VERSION)
    .showHelpAfterError('(foreshock --help lists the commands)')
    .exitOverride()
  await addCommands(cli, words)
  for (const command of cli.commands) command.exitOverride()
  return cli
}

async function run(argv: readonly string[]): Promise<number> {
  try {
    const cli = await program(argv.slice(2))
    await cli.parseAsync(argv)
    return typeof process.exitCode === 'number' ? process.exitCode : 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof ForeshockError) {
      process.stderr.write(`foreshock: ${error.message}\n`)
      return USAGE_CODES.has(error.code) ? 2 : 1
    }
    process.stderr.write(
      `foreshock: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
    return 1
  }
}

/** Whoever read what is printed has gone, as `head` does, which is no failure. A service needs nobody to read it. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (process.argv[2] === 'serve') return
  if (error.code === 'EPIPE') process.exit(0)
  process.stderr.write(`foreshock: standard output: cannot be written (${error.message})\n`)
  process.exit(1)
})
process.exitCode = await run(process.argv)
