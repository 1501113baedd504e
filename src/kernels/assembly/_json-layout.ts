// Where things lie in the memory of the JSON kernel, bytes. Its own, so that nothing else moves in it.

/** Registers, words. Where the walk stands, and the number of the line it has read last. */
export const AT = 0
export const LINE = 4
/** Lines and numbers that were read and not yet taken. */
export const RECORDS = 8
export const NUMBERS = 12
/** A line that is not the kernel's: where it lies, and whether the identity of what stands around its numbers is known. */
export const LINE_FROM = 16
export const LINE_TO = 20
export const FRAMED = 24
/** That identity, and the one to remember by it. */
export const ID = 28
export const NAMED = 40
/** Seeds of the identities. */
export const SEED = 52
export const SEED_CHECK = 56
/** The table of identities, and one less than its entries, a power of two. */
export const TABLE = 60
export const TABLE_MASK = 64
/** Identities of the pieces between numbers, three words each. */
export const PIECES = 128
/** A line has at most so many: before, between and behind two numbers. */
export const PIECES_MAX = 3

/** Powers of ten as floats, 0 to 22, and as 128 bits, the high half first. */
export const EXACT_POWERS = 256
export const POWERS = 512

/** Lines that were read, five words each: entry of the table, from, to, number of the line, end of its numbers. */
export const RECORD_AT = 16_384
export const RECORD_BYTES = 20
export const RECORDS_MAX = 4096
/** Their numbers: times (Unix ms) and values. */
export const TIMES_AT = 131_072
export const VALUES_AT = 655_360
export const NUMBERS_MAX = 65_536

/** What is read at a time, with room behind it for reads that go too far. */
export const TEXT_AT = 1_179_648
export const TEXT_MAX = 1_048_576
/** The table grows from here on. An entry: identity of three words, of which the last is never 0, and what is remembered by it. */
export const TABLE_AT = 2_293_760
export const ENTRY_BYTES = 24

/** What a walk came to: all is read, the columns are full, or a line is for the plain reader. */
export const WALK_END = 0
export const WALK_FULL = 1
export const WALK_LINE = 2
