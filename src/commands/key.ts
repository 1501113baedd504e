import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { sha256 } from '../core/identity.ts'

export function addKeyCommand(cli: Command): void {
  cli
    .command('key')
    .description('makes an API key and the hash of it that goes into the configuration')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => {
      const key = `fsk_${randomBytes(24).toString('base64url')}`
      const hash = `sha256:${sha256(key)}`
      process.stdout.write(
        options.json ? `${JSON.stringify({ key, hash })}\n` : `key   ${key}\nhash  ${hash}\n`,
      )
    })
}
