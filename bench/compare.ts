// `npm run bench:compare -- --json new.json [--baseline bench/baseline.json] [--partial]`: fails when a ratio or a CPU
// figure is more than 15 % worse than agreed. With --write-baseline the new figures become the agreed ones.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { compared, parseReport, verdictText } from './comparison.ts'

const { values: args } = parseArgs({
  options: {
    json: { type: 'string' },
    baseline: { type: 'string', default: resolve(import.meta.dirname, 'baseline.json') },
    /** Not everything was measured on purpose: what is missing is named and no failure. */
    partial: { type: 'boolean', default: false },
    'write-baseline': { type: 'boolean', default: false },
  },
})

function read(file: string): ReturnType<typeof parseReport> {
  if (!existsSync(file)) return `${file}: there is no such file`
  const report = parseReport(readFileSync(file, 'utf8'))
  return typeof report === 'string' ? `${file}: ${report}` : report
}

function main(): number {
  if (args.json === undefined) {
    console.error('say what to compare: --json FILE, as `npm run bench -- --json FILE` writes it')
    return 2
  }
  const now = read(args.json)
  if (typeof now === 'string') {
    console.error(now)
    return 2
  }
  if (args['write-baseline']) {
    writeFileSync(args.baseline, `${JSON.stringify(now, null, 2)}\n`)
    console.log(`${args.baseline}: ${now.results.length} measures of ${now.machine}`)
    return 0
  }
  const agreed = read(args.baseline)
  if (typeof agreed === 'string') {
    console.error(agreed)
    return 2
  }
  const comparison = compared(agreed, now)
  console.log(verdictText(comparison))
  return comparison.regressions.length > 0 || (comparison.missing.length > 0 && !args.partial) ? 1 : 0
}

process.exitCode = main()
