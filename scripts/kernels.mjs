// Compiles src/kernels/assembly/*.ts (AssemblyScript) to src/kernels/wasm/*.wasm, those whose source changed; a name that begins
// with an underscore is imported by others and has no module of its own. Memory is imported: the loader decides whose it is.
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import asc from 'assemblyscript/asc'

const SOURCE = 'src/kernels/assembly'
const TARGET = 'src/kernels/wasm'

mkdirSync(TARGET, { recursive: true })
const sources = readdirSync(SOURCE).filter(name => name.endsWith('.ts'))
const newest = Math.max(...sources.map(name => statSync(`${SOURCE}/${name}`).mtimeMs))
for (const name of sources.filter(source => !source.startsWith('_'))) {
  const out = `${TARGET}/${name.replace(/\.ts$/, '.wasm')}`
  const built = statSync(out, { throwIfNoEntry: false })
  if (built && built.mtimeMs > newest) continue
  const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd']
  const { error, stderr } = await asc.main([`${SOURCE}/${name}`, '--outFile', out, ...flags], {})
  process.stderr.write(stderr.toString())
  if (error) throw error
}
