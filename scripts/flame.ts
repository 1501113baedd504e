// `node --import tsx scripts/flame.ts FILE.cpuprofile [--svg OUT.svg] [--title TEXT] [--page PAGE.md]`: where a profile's time went, by room and by
// function, and a flame graph of it; with --page the tables go between the marks in that page. Profiles come of `node --cpu-prof`, or of the headline run with --cpu-prof FOLDER.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type CpuProfile, flameSvg, sharesOf, treeOf } from './flame-graph.ts'

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    svg: { type: 'string' },
    title: { type: 'string' },
    top: { type: 'string', default: '25' },
    page: { type: 'string' },
  },
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
const tables = [...lines('room', rooms), ...lines('function', functions)].join('\n')
console.log(tables)
if (args.svg !== undefined) writeFileSync(args.svg, flameSvg(root, args.title ?? file))
if (args.page !== undefined) {
  const [begin, end] = ['<!-- profile: scripts/flame.ts -->', '<!-- end of the profile -->']
  const text = readFileSync(args.page, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${args.page} has no marks ${begin} and ${end}`)
  const told = args.title === undefined ? '' : `${args.title}.\n\n`
  writeFileSync(args.page, `${text.slice(0, from)}${begin}\n\n${told}${tables}\n${text.slice(to)}`)
}
