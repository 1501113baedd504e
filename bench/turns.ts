// Sides of a comparison, each a process of its own that has its turn after the others, so that all meet the same machine.
import { type ChildProcess, fork } from 'node:child_process'
import { resolve } from 'node:path'

export interface Side {
  readonly name: string
  /** One repetition; CPU ns a sample of the side's process. */
  turn(t: number): Promise<number>
  close(): Promise<void>
}

/** A side that is a script of bench/sides: it answers each number it is sent with one of its own. */
export async function scriptSide(name: string, script: string, args: readonly string[]): Promise<Side> {
  const file = resolve(import.meta.dirname, `sides/${script}.ts`)
  const child = fork(file, args, {
    execArgv: ['--expose-gc', '--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ended = new Promise<number | null>(done => child.once('exit', done))
  await answerOf(child, ended, name)
  return {
    name,
    turn: async t => {
      const answer = answerOf(child, ended, name)
      child.send(t)
      return answer
    },
    close: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function answerOf(child: ChildProcess, ended: Promise<number | null>, name: string): Promise<number> {
  return new Promise((done, failed) => {
    child.once('message', answer => done(answer as number))
    ended.then(code => failed(new Error(`${name} ended with ${code}`)))
  })
}

/** In a script of bench/sides: says that it is ready, then takes its turns until it is ended. */
export function serveTurns(turn: (t: number) => Promise<number> | number): void {
  process.on('message', async t => process.send?.(await turn(t as number)))
  process.once('disconnect', () => process.exit())
  process.send?.(0)
}

/**
 * A, B, A, B …: values of each side by name, without those of the first `warm` turns. Closes the sides, also when one fails.
 */
export async function takeTurns(
  sides: readonly Side[],
  { warm, repetitions }: { readonly warm: number; readonly repetitions: number },
): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = Object.fromEntries(sides.map(({ name }) => [name, []]))
  try {
    for (let t = 0; t < warm + repetitions; t++) {
      for (const side of sides) {
        const value = await side.turn(t)
        if (t >= warm) values[side.name].push(value)
      }
    }
    return values
  } finally {
    await Promise.all(sides.map(side => side.close()))
  }
}

/** Of each repetition, one side's value over the other's. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, i) => value / under[i])
}
