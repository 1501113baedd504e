import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs a program of the tests with a folder until it has printed so many letters, and kills it with -9: the whole lines that it printed. */
export async function killedWriter(program: string, dir: string, letters: number): Promise<number[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.on('data', chunk => {
    printed += chunk
    if (printed.length > letters) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return printed.split('\n').slice(0, -1).map(Number)
}
