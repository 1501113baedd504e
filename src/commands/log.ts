import { join } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { verifyRecord } from '../store/verify-record.ts'

export function addLogCommand(cli: Command): void {
  const log = cli.command('log').description('the record: what was found, when, by what')
  log
    .command('verify')
    .description('checks the hash chain of the record; exit 1 when it is broken')
    .option('--dir <folder>', 'folder of the record; default: the one that the configuration names')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(async (options: { dir?: string; config?: string; json?: boolean }) => {
      const dir = options.dir ?? join(loadConfig({ file: options.config }).data.folder, 'record')
      const result = await verifyRecord(dir)
      if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
      else if (result.ok) process.stdout.write(`${dir}: ${result.entries} entries in ${result.segments} segments, chain unbroken\n`)
      else process.stdout.write(`${dir}: broken at ${JSON.stringify(result.broken)}\n`)
      if (!result.ok) process.exitCode = 1
    })
}
