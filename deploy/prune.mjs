// Removes from installed modules what a server on this platform never loads: libraries of other platforms, source
// maps, declarations, and builds for browsers. Licences stay. `node deploy/prune.mjs node_modules` prints what it freed.
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'

const root = process.argv[2] ?? 'node_modules'
const { platform, arch } = process

/** Files by their ending: only debuggers and compilers read them. */
const ENDINGS = ['.map', '.d.ts', '.d.mts', '.d.cts', '.md', '.markdown', '.tsbuildinfo']
/** WebAssembly of browsers' graphics and of promises: Node takes the plain build. */
const BROWSER =
  /onnxruntime-web\/dist\/(?:ort-wasm-simd-threaded\.(?:jsep|asyncify|jspi)\.|ort\.(?:all|webgl|webgpu|jspi)\.)/

let freed = 0
for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
  const path = name.split(sep).join('/')
  if (/(?:licen[cs]e|notice)/i.test(path.slice(path.lastIndexOf('/') + 1))) continue
  if (!ENDINGS.some(ending => path.endsWith(ending)) && !BROWSER.test(path) && !foreign(path)) continue
  const file = join(root, name)
  const stat = statSync(file, { throwIfNoEntry: false })
  if (!stat?.isFile()) continue
  freed += stat.size
  rmSync(file)
}
process.stdout.write(`freed ${Math.round(freed / 1e6)} MB\n`)

/** A native library of another platform or processor. */
function foreign(path) {
  const place = /onnxruntime-node\/bin\/[^/]+\/([^/]+)\/([^/]+)\//.exec(path)
  return place !== null && (place[1] !== platform || place[2] !== arch)
}
