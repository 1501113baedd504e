/** TypeScript knows it from ES2024 on, Node from 16. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    words: Int32Array,
    at: number,
    value: number,
  ): { readonly async: false } | { readonly async: true; readonly value: Promise<string> }
}

/** Resolves when a shared word is no longer `value`; undefined when it is not now. */
export function changed(words: Int32Array, at: number, value: number): Promise<unknown> | undefined {
  const waiting = waitAsync(words, at, value)
  return waiting.async ? waiting.value : undefined
}
