// Removes what an earlier build left: a file whose source is gone would be packed and run all the same.
import { rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
