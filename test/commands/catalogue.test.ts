// Shows that the list of commands, which is printed without loading them, says what each says of itself, and that
// calling one loads it with its options.
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addCommands, COMMANDS } from '../../src/commands/catalogue.ts'

describe('the list of commands', () => {
  it.each(Object.keys(COMMANDS))('%s is listed as it describes itself', async name => {
    const cli = new Command('foreshock')
    await addCommands(cli, ['--json', name])
    expect(cli.commands.map(command => command.name())).toEqual(Object.keys(COMMANDS))
    const called = cli.commands.find(command => command.name() === name)!
    expect(called.description()).toBe(COMMANDS[name].summary)
    expect(called.options.length + called.commands.length).toBeGreaterThan(0)
    for (const other of cli.commands) if (other !== called) expect(other.options).toHaveLength(0)
  })

  it('is the same for help of a command', async () => {
    const cli = new Command('foreshock')
    await addCommands(cli, ['help', 'score'])
    expect(cli.commands.find(command => command.name() === 'score')!.options.length).toBeGreaterThan(0)
  })
})
