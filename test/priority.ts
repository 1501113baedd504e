// Before each file: what only computes leaves the CPU to what lives by the clock, and takes what that does not want.
import { constants, setPriority } from 'node:os'
import { relative, resolve } from 'node:path'
import { expect } from 'vitest'
import { livesByTheClock } from './plan.ts'

const path = relative(resolve(import.meta.dirname, '..'), expect.getState().testPath ?? '')
if (!livesByTheClock(path.replaceAll('\\', '/'))) setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
