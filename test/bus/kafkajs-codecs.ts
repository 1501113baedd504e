import kafkajs from 'kafkajs'
import { codecsReady, packed } from '../../src/bus/kafka-codecs.ts'

const { CompressionCodecs, CompressionTypes } = kafkajs

/** Makes kafkajs, as an oracle, write what it cannot by itself. */
export async function registerCodecs(): Promise<void> {
  await codecsReady()
  for (const type of [CompressionTypes.Snappy, CompressionTypes.LZ4, CompressionTypes.ZSTD] as const)
    CompressionCodecs[type] = () => ({
      compress: async (encoder: { readonly buffer: Buffer }) =>
        Buffer.from(await packed(type, encoder.buffer)),
      decompress: async (bytes: Buffer) => bytes,
    })
}
