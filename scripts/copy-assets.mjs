// Copies what tsc does not: static files that the built program serves or reads.
import { chmodSync, cpSync, existsSync } from 'node:fs'

for (const folder of ['serve/page', 'kernels/wasm']) {
  if (existsSync(`src/${folder}`)) cpSync(`src/${folder}`, `dist/${folder}`, { recursive: true })
}
if (existsSync('dist/cli.js')) chmodSync('dist/cli.js', 0o755)
