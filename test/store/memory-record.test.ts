// The in-memory record keeps the contract of the port.
import { MemoryRecord } from '../../src/store/memory-record.ts'
import { recordContract } from './record-contract.ts'

recordContract('memory', async () => new MemoryRecord())
