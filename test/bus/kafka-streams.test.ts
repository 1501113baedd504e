// Shows that Streams on a real Apache Kafka keeps the contract.
import { kafkaWorld } from '../peers/kafka.ts'
import { streamsContract } from './streams-contract.ts'

streamsContract('Kafka', kafkaWorld)
