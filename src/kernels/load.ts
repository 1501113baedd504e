import { readFileSync } from 'node:fs'

/** Bytes of a page of WebAssembly memory. */
export const PAGE_BYTES = 65_536

const modules = new Map<string, WebAssembly.Module>()

/**
 * The kernel `name`, compiled once, as an instance over `memory`. Throws where this machine's WebAssembly lacks SIMD or the file is
 * missing: callers then use the plain twin. `functions`: what it asks of JavaScript by name.
 */
export function instantiateKernel<Exports>(
  name: string,
  memory: WebAssembly.Memory,
  functions: Readonly<Record<string, (x: number) => number>> = {},
): Exports {
  let module = modules.get(name)
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(new URL(`./wasm/${name}.wasm`, import.meta.url)))
    modules.set(name, module)
  }
  const env = {
    ...functions,
    memory,
    abort: () => {
      throw new WebAssembly.RuntimeError(`the kernel ${name} gave up`)
    },
  }
  return new WebAssembly.Instance(module, { env }).exports as Exports
}

/** The same; undefined where this machine's WebAssembly cannot run it: callers then read the plain way. */
export function kernelOrNone<Exports>(name: string, memory: WebAssembly.Memory): Exports | undefined {
  try {
    return instantiateKernel<Exports>(name, memory)
  } catch {
    return undefined
  }
}

/** Pages that hold `bytes`. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES)
}
