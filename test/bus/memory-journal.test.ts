// The in-memory journal keeps the contract of the port.
import { MemoryJournal } from '../../src/bus/memory-journal.ts'
import { journalContract } from './journal-contract.ts'

journalContract('memory', async () => new MemoryJournal())
