import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
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
      if (!existsSync(dir)) {
        throw new ForeshockError(
          'FS_INPUT_INVALID',
          `${dir}: there is no record; \`foreshock serve\` keeps one there, --dir names another`,
        )
      }
      const report = await verifyRecord(dir)
      const broken = report.firstBreak
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ ok: broken === undefined, dir, ...report })}\n`)
      } else if (broken) {
        process.stdout.write(
          `${dir}: broken at ${broken.file}:${broken.line}: ${broken.reason} (expected ${broken.expected}, got ${broken.got})\n`,
        )
      } else {
        const tail = report.tornTail ? '; an unfinished last line, never acknowledged, is passed over' : ''
        const anchor = report.anchor === 'matches' ? '' : `; head file ${report.anchor}`
        process.stdout.write(
          `${dir}: ${report.entries} entries in ${report.segments} segments, chain unbroken${anchor}${tail}\n`,
        )
      }
      if (broken) process.exitCode = 1
    })
}
