import type { ModelCard } from './model-card.ts'

/** What can run a model here. `onnxruntime-web` and `tfjs` are WebAssembly: they run wherever Node does. */
export type RuntimeName = 'onnxruntime-node' | 'onnxruntime-web' | 'tfjs'

/** An opened model: checked against its card, its golden outputs and its budget, warmed up, ready to answer. */
export interface ModelSession {
  readonly card: ModelCard
  readonly runtime: RuntimeName
  /**
   * Output of `rows` rows of the input's width, row-major, new each time. `input` is copied before it returns. Rejects
   * with FS_MODEL_RUNTIME when the model fails or takes longer than `timeoutMs`; the session may be asked again after
   * a failure, and rejects at once while it is stuck.
   */
  run(input: Float32Array, rows: number, timeoutMs?: number): Promise<Float32Array>
  close(): Promise<void>
}

/** Opens model packages away from the thread that scores. */
export interface ModelHost {
  /**
   * Throws FS_MODEL_INVALID with the file and the reason, FS_MODEL_RUNTIME when no runtime here can run it. What was
   * `accepted` before is not held to its time again: that this machine is busy just now is no reason to refuse it.
   */
  open(folder: string, accepted?: 'accepted'): Promise<ModelSession>
  /** Ends every session. */
  close(): Promise<void>
}

/** A model inside its runtime, in the thread that asks: what a session is made of. */
export interface ModelEngine {
  readonly runtime: RuntimeName
  /** Output of `rows` rows, row-major. Rejects with whatever the runtime says. */
  run(input: Float32Array, rows: number): Promise<Float32Array>
  close(): Promise<void>
}

/** Rows handed to a runtime at once: it holds its thread while it works, and more make nothing faster. */
export const BATCH_ROWS = 1024
