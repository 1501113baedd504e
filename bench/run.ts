// `npm run bench`: how fast, how large, how soon. Each measure in a process of its own; prints a table.
// --quick only shows that everything runs; --json FILE keeps the numbers; --only NAME,… (`goals`: what the fourteen goals
// are told by); --write replaces the tables of "Speed" in docs/results.md, if all was measured, and those of
// docs/performance.md. With --series N the headline run instead: see bench/headline/command.ts.
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { HEADLINE_FLAGS, runHeadline } from './headline/command.ts'
import type { Measured } from './measure.ts'
import {
  commit,
  goalTable,
  load,
  machine,
  pageSections,
  type Report,
  section,
  summed,
  table,
  writeSection,
} from './report.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
    ...HEADLINE_FLAGS,
  },
})
if (args.series !== undefined) {
  await runHeadline({ ...args, series: args.series })
  process.exit()
}

interface Child {
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  /** Arguments of Node. */
  readonly node?: readonly string[]
  /** It is there for the goals' sake. */
  readonly goals?: boolean
}

/** A young generation that holds everything of one repetition: what was allocated can be read off the heap. */
const NO_SCAVENGE = ['--max-semi-space-size=256', '--min-semi-space-size=256']
const CHILDREN: readonly Child[] = [
  { name: 'tier0', file: 'tier0', args: [], node: NO_SCAVENGE },
  { name: 'path', file: 'path', args: [] },
  ...(args.quick
    ? []
    : [{ name: 'path-1m', file: 'path', args: ['--series', '1000000', '--warm', '21', '--windows', '5'] }]),
  ...['split', 'columns', 'bodies'].map(what => ({
    name: `split-${what}`,
    file: 'split',
    args: ['--what', what],
  })),
  { name: 'first-sight', file: 'first-sight', args: [] },
  { name: 'json-lines', file: 'json-lines', args: [] },
  { name: 'heap', file: 'heap', args: [], node: NO_SCAVENGE },
  { name: 'reports', file: 'reports', args: [] },
  { name: 'stage', file: 'stage', args: [] },
  { name: 'http', file: 'http', args: [] },
  { name: 'memory', file: 'path', args: ['--memory', ...(args.quick ? [] : ['--series', '1000000'])] },
  { name: 'start', file: 'start', args: [] },
  { name: 'profiles', file: 'profiles', args: [] },
  { name: 'suspects', file: 'suspects', args: [] },
  { name: 'matrix-profile', file: 'matrix-profile', args: [] },
  { name: 'entities', file: 'entities', args: [] },
  { name: 'ranking', file: 'ranking', args: [] },
  { name: 'failing', file: 'failing', args: [] },
  { name: 'queries', file: 'queries', args: [] },
  { name: 'swaps', file: 'swaps', args: [] },
  { name: 'inference', file: 'inference', args: [] },
  { name: 'experiments', file: 'experiments', args: [] },
  { name: 'against-control', file: 'against-control', args: [], goals: true },
  { name: 'against-servers', file: 'against-servers', args: [], goals: true },
  { name: 'scale', file: 'scale', args: [], goals: true },
  { name: 'memory-slope', file: 'memory-slope', args: [], goals: true },
  { name: 'latency', file: 'latency', args: [], goals: true },
  { name: 'latency-beside', file: 'latency', args: ['--workers', '1'] },
  { name: 'consume', file: 'consume', args: [], goals: true },
  { name: 'workers', file: 'workers', args: [], goals: true },
  { name: 'fleet', file: 'fleet', args: [], goals: true },
  { name: 'forests', file: 'forests', args: [], goals: true },
  { name: 'roofline', file: 'roofline', args: [] },
]
/** Measures that goals are told by, beside those marked so. */
const GOAL_NAMES: readonly string[] = ['heap', 'ranking', 'inference']

const scriptOf = (child: Child) => resolve(import.meta.dirname, `measures/${child.file}.ts`)

function measure(child: Child): Promise<Measured[]> {
  const script = scriptOf(child)
  const all = ['--expose-gc', '--import', 'tsx', ...(child.node ?? []), script, ...child.args]
  const process_ = spawn(process.execPath, args.quick ? [...all, '--quick'] : all, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  process_.stdout.on('data', chunk => {
    said += chunk
  })
  return new Promise((done, failed) => {
    process_.once('close', code => {
      if (code === 0) done(JSON.parse(said.trim().split('\n').at(-1) ?? '[]') as Measured[])
      else failed(new Error(`${child.name} ended with ${code}`))
    })
  })
}

const only = args.only?.split(',')
const asked = ({ name, goals = GOAL_NAMES.includes(name) }: Child) =>
  only === undefined || only.includes(name) || (goals && only.includes('goals'))
const before = load()
const results: Measured[] = []
const failed: Record<string, string> = {}
for (const child of CHILDREN.filter(asked)) {
  process.stderr.write(`${child.name} …\n`)
  // One that cannot be measured is told of, and keeps nobody else from being measured.
  if (!existsSync(scriptOf(child))) failed[child.name] = 'not built yet'
  else
    await measure(child).then(
      found => results.push(...found),
      (error: Error) => {
        failed[child.name] = error.message
      },
    )
  if (failed[child.name] !== undefined) process.stderr.write(`${child.name}: ${failed[child.name]}\n`)
}
const report: Report = {
  schema: 1,
  command: `npm run bench${args.quick ? ' -- --quick' : ''}${args.only === undefined ? '' : ` -- --only ${args.only}`}`,
  date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  commit: commit(),
  machine: machine(),
  load: [before, load()],
  results: summed(results),
  failed,
}
process.stdout.write(`${table(report.results)}\n\n${goalTable(report)}\n`)
if (Object.keys(failed).some(name => name !== 'forests')) process.exitCode = 1
if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(report, null, 2)}\n`)
if (args.write) {
  const docs = resolve(import.meta.dirname, '../docs')
  // A part of the measures does not stand for all of them.
  if (only === undefined) writeSection(resolve(docs, 'results.md'), section(report))
  for (const text of pageSections(report)) writeSection(resolve(docs, 'performance.md'), text)
}
