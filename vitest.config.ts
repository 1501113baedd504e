import { defineConfig } from 'vitest/config'
import { builtThreads } from './test/built.ts'
import { LongestFirst } from './test/longest-first.ts'
import { together } from './test/plan.ts'

const shared = together()

export default defineConfig({
  resolve: { alias: builtThreads() },
  test: {
    testTimeout: 30_000,
    hookTimeout: 120_000,
    setupFiles: ['test/priority.ts'],
    pool: 'forks',
    // Half of what runs waits for other processes or for time to pass; four of them keep two cores busy.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: shared,
          globalSetup: ['test/peers/kafka-setup.ts'],
        },
      },
      { extends: true, test: { name: 'together', include: shared, isolate: false } },
    ],
  },
})
