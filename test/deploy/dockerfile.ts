// Reads a Dockerfile far enough to take its steps without Docker: stages, instructions, continued lines, no heredocs.

export interface Instruction {
  readonly name: string
  readonly text: string
}
export interface Stage {
  readonly name: string
  readonly from: string
  readonly instructions: readonly Instruction[]
}

export function stagesOf(text: string): Stage[] {
  const lines = text
    .split('\n')
    .filter(line => !/^\s*(?:#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
  const stages: { name: string; from: string; instructions: Instruction[] }[] = []
  for (const line of lines) {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (name === undefined) throw new Error(`not an instruction: ${line}`)
    if (name === 'FROM') {
      const [, from, as] = /^(\S+)(?:\s+AS\s+(\S+))?$/.exec(rest) as RegExpExecArray
      stages.push({ name: as ?? '', from, instructions: [] })
    } else if (stages.length > 0) {
      stages[stages.length - 1].instructions.push({ name, text: rest })
    } else if (name !== 'ARG') throw new Error(`${name} before the first FROM`)
  }
  return stages
}

/** What a COPY takes: of which stage (undefined: the context), which files, and where to. */
export function copyOf({ text }: Instruction): { stage?: string; sources: string[]; target: string } {
  const words = text.split(/\s+/)
  const stage = words.find(word => word.startsWith('--from='))?.slice('--from='.length)
  const paths = words.filter(word => !word.startsWith('--'))
  return {
    ...(stage === undefined ? {} : { stage }),
    sources: paths.slice(0, -1),
    target: paths.at(-1) ?? '',
  }
}
