import type { Command } from 'commander'

/** A command as the list of commands shows it, and where it is. */
interface Entry {
  /** The command's own description. */
  readonly summary: string
  add(cli: Command): Promise<void>
}

/**
 * All commands. Each is loaded only when it is called: together they bring in the whole program, which takes longer
 * than most of them run.
 */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'the service: takes metrics in, publishes ranked disruptions',
    add: async cli => (await import('./serve.ts')).addServeCommand(cli),
  },
  lab: {
    summary: 'The demo: a small fleet of real services, a fault injected, Foreshock finding it.',
    add: async cli => {
      const [{ addLabCommand }, { startLabService }] = await Promise.all([
        import('./lab.ts'),
        import('./lab-service.ts'),
      ])
      addLabCommand(cli, startLabService, async engines =>
        (await import('./lab-fleet.ts')).startLabFleet(engines),
      )
    },
  },
  score: {
    summary: 'score recorded series causally, exactly as live',
    add: async cli => (await import('./score.ts')).addScoreCommand(cli),
  },
  evaluate: {
    summary: "run a benchmark suite's series through the shipped detectors and print its table",
    add: async cli => {
      const [{ addEvaluateCommand }, { startLabService }] = await Promise.all([
        import('./evaluate.ts'),
        import('./lab-service.ts'),
      ])
      addEvaluateCommand(cli, startLabService)
    },
  },
  replay: {
    summary: 'runs recorded metrics of many entities through the whole pipeline; writes disruption events',
    add: async cli => (await import('./replay.ts')).addReplayCommand(cli),
  },
  explain: {
    summary: 'ranked suspects for one moment of recorded metrics, as JSON',
    add: async cli => (await import('./explain.ts')).addExplainCommand(cli),
  },
  drill: {
    summary: 'which combination of dimension values explains a deviation, as JSON',
    add: async cli => (await import('./drill.ts')).addDrillCommand(cli),
  },
  models: {
    summary: 'model packages: tried, pushed, shadowed, promoted, rolled back',
    add: async cli => (await import('./models.ts')).addModelsCommand(cli),
  },
  windows: {
    summary: 'windows as the detectors saw them, to train models on',
    add: async cli => (await import('./windows-export.ts')).addWindowsCommand(cli),
  },
  experiments: {
    summary: 'champion against challenger on the same windows: start, watch, label, stop',
    add: async cli => (await import('./experiments.ts')).addExperimentsCommand(cli),
  },
  index: {
    summary: 'the index that answers queries over the record',
    add: async cli => (await import('./index.ts')).addIndexCommand(cli),
  },
  log: {
    summary: 'the record: what was found, when, by what',
    add: async cli => (await import('./log.ts')).addLogCommand(cli),
  },
  topics: {
    summary: 'the topics of Kafka that a fleet works on: made, checked, listed',
    add: async cli => (await import('./topics.ts')).addTopicsCommand(cli),
  },
  'dead-letters': {
    summary: 'messages that could not be used, and why',
    add: async cli => (await import('./dead-letters.ts')).addDeadLettersCommand(cli),
  },
  key: {
    summary: 'makes an API key and the hash of it that goes into the configuration',
    add: async cli => (await import('./key.ts')).addKeyCommand(cli),
  },
}

/** Adds the command that `words` call, and of the others what their list shows. */
export async function addCommands(cli: Command, words: readonly string[]): Promise<void> {
  const [first, second] = words.filter(word => !word.startsWith('-'))
  const called = first === 'help' ? second : first
  for (const [name, { summary, add }] of Object.entries(COMMANDS)) {
    if (name === called) await add(cli)
    else cli.command(name).description(summary)
  }
}
