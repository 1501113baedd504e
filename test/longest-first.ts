// The order of a run's files, as test/plan.ts has it: the same on a fresh clone, which knows no times of an earlier run.
import { statSync } from 'node:fs'
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { placeOf } from './plan.ts'

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files
      .map(file => {
        const path = relative(this.ctx.config.root, file.moduleId).replaceAll('\\', '/')
        return { file, place: placeOf(path, !file.project.config.isolate, statSync(file.moduleId).size) }
      })
      .sort((a, b) => a.place[0] - b.place[0] || a.place[1] - b.place[1])
      .map(({ file }) => file)
  }
}
