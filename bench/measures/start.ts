// How long the built program takes to listen, and to print its help: new processes, one a repetition.
// node --import tsx bench/measures/start.ts [--quick]
import { spawn } from 'node:child_process'
import { QUICK, say } from '../measure.ts'
import { CLI, cpuSeconds, startService } from '../service.ts'

const RUNS = QUICK ? 1 : 7
/** Prints the CPU time of the process it is loaded into when that ends. */
const METER = `data:text/javascript,${encodeURIComponent(
  'process.on("exit",()=>{const u=process.cpuUsage();process.stderr.write("cpu "+(u.user+u.system)/1000)})',
)}`

function help(): Promise<{ wallMs: number; cpuMs: number }> {
  const started = performance.now()
  const child = spawn(process.execPath, ['--import', METER, CLI, '--help'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  return new Promise((done, failed) => {
    child.once('close', code => {
      const found = /cpu (\S+)/.exec(said)
      if (code !== 0 || !found) failed(new Error(`--help ended with ${code}: ${said}`))
      else done({ wallMs: performance.now() - started, cpuMs: Number(found[1]) })
    })
  })
}

const ready: number[] = []
const readyCpu: number[] = []
const helps: { wallMs: number; cpuMs: number }[] = []
for (let run = 0; run < RUNS; run++) {
  const service = await startService({ log: { level: 'warn' } })
  ready.push(service.readyMs)
  readyCpu.push((await cpuSeconds(service.url)) * 1000)
  await service.stop()
  helps.push(await help())
}
say([
  {
    id: 'start.ms',
    what: 'start of `foreshock serve` until it listens',
    unit: 'ms wall',
    atMost: 1000,
    values: ready,
  },
  {
    id: 'start.cpu.ms',
    what: '· CPU of it after the program was loaded (its own metric)',
    unit: 'ms CPU',
    values: readyCpu,
  },
  {
    id: 'help.ms',
    what: '`foreshock --help`',
    unit: 'ms wall',
    atMost: 300,
    values: helps.map(h => h.wallMs),
  },
  { id: 'help.cpu.ms', what: '· CPU', unit: 'ms CPU', values: helps.map(h => h.cpuMs) },
])
