import { Command } from 'commander'
import { vi } from 'vitest'

/** What a command prints on a terminal that is none. */
export async function printed(add: (cli: Command) => void, words: readonly string[]): Promise<string> {
  let text = ''
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation(chunk => {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    return true
  })
  try {
    const cli = new Command('foreshock').exitOverride()
    add(cli)
    await cli.parseAsync(['node', 'foreshock', ...words])
    return text
  } finally {
    spy.mockRestore()
  }
}
