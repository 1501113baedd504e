// `npm run faults`: what a fleet loses when it is hurt, against real Kafka, Redis and PostgreSQL. Seeded and bounded; each
// case is compared with an undisturbed run of the same input. --only NAME,…; --json FILE; --seed N; --windows N; --rate
// WINDOWS_A_SECOND; --logs FOLDER; --quick (engines are away
// for ten seconds, not a minute); --older CLI (a build to upgrade from); --list. Ends with 1 when anything was lost, doubled or different.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CASES } from './faults/cases.ts'
import { runSuite } from './faults/suite.ts'
import { faultsOf, tableOf } from './faults/table.ts'
import { commit, load, machine } from './report.ts'

const { values: args } = parseArgs({
  options: {
    only: { type: 'string' },
    json: { type: 'string' },
    seed: { type: 'string', default: '1' },
    windows: { type: 'string', default: '300' },
    entities: { type: 'string', default: '24' },
    rate: { type: 'string', default: '10' },
    logs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    older: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
})

if (args.list) {
  for (const { name, what } of CASES) console.log(`${name.padEnd(18)}${what}`)
} else {
  const only = args.only?.split(',')
  const unknown = only?.filter(name => !CASES.some(one => one.name === name)) ?? []
  if (unknown.length > 0) {
    console.error(`there is no case ${unknown.join(', ')}; --list names them`)
    process.exit(2)
  }
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ')
  const before = load()
  const { rows, undisturbed } = await runSuite({
    seed: Number(args.seed),
    entities: Number(args.entities),
    windows: Number(args.windows),
    windowsPerSecond: Number(args.rate),
    awayMs: args.quick ? 10_000 : 60_000,
    ...(args.older ? { older: args.older } : {}),
    ...(only ? { only } : {}),
    ...(args.logs ? { logs: args.logs } : {}),
    onStart: name => process.stderr.write(`${name} …\n`),
    onRow: row => process.stderr.write(`  ${faultsOf(row).join('; ') || 'nothing lost, nothing doubled'}\n`),
  })
  console.log(`${date}, commit ${commit()}, load ${before} before and ${load()} after, ${machine()}`)
  console.log(
    `seed ${args.seed}: ${undisturbed.windows} windows told, ${undisturbed.disruptions} disruptions in ${undisturbed.events} events\n`,
  )
  console.log(tableOf(rows))
  if (args.json)
    writeFileSync(
      args.json,
      `${JSON.stringify({ date, commit: commit(), args, undisturbed, rows }, null, 2)}\n`,
    )
  if (rows.some(row => faultsOf(row).length > 0)) process.exitCode = 1
}
