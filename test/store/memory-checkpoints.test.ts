// The in-memory checkpoints keep the contract of the port.
import { MemoryCheckpoints } from '../../src/store/memory-checkpoints.ts'
import { checkpointContract } from './checkpoint-contract.ts'

checkpointContract('memory', () => new MemoryCheckpoints())
