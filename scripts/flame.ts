// `node --import tsx scripts/flame.ts FILE.cpuprofile [--svg OUT.svg] [--title TEXT]`: where a profile's time went, by room and by
// function, and a flame graph of it. Profiles come of `node --cpu-prof`, or of the headline run with --cpu-prof FOLDER.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type CpuProfile, flameSvg, sharesOf, treeOf } from './flame-graph.ts'

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: { svg: { type: 'string' }, title: { type: 'string' }, top: { type: 'string', default: '25' } },
})
const [file] = positionals
if (file === undefined) throw new Error('name a .cpuprofile')
const root = treeOf(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile)
const lines = (title: string, shares: ReturnType<typeof sharesOf>) => [
  `| ${title} | share |`,
  '| --- | --- |',
  ...shares.map(({ name, share }) => `| ${name} | ${(100 * share).toFixed(1)} % |`),
  '',
]
const rooms = sharesOf(root, 'room').filter(({ share }) => share >= 0.002)
const functions = sharesOf(root, 'name').slice(0, Number(args.top))
console.log([...lines('room', rooms), ...lines('function', functions)].join('\n'))
if (args.svg !== undefined) writeFileSync(args.svg, flameSvg(root, args.title ?? file))
