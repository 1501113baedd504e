import { RecordsKernel } from '../kernels/records.ts'
import { crc32cTables } from '../math/crc32c.ts'

let kernel: RecordsKernel | undefined | null = null

/** One for all; undefined where there is no WebAssembly with SIMD: its plain twins are used then. */
export function recordsKernel(): RecordsKernel | undefined {
  if (kernel === null) {
    try {
      kernel = new RecordsKernel(crc32cTables())
    } catch {
      kernel = undefined
    }
  }
  return kernel
}
