// Where things lie in the memory that the wire table and the kernel `remote-write` share. This file is both TypeScript and
// AssemblyScript: integer constants only. Addresses are bytes, unless a name says words (of four bytes).

// Page 0 holds single numbers: registers of the kernel and what the table says of itself.
/** Wire found last, as i32: a guess at where to look next, never more. */
export const FOUND = 64
/** One past the highest wire in use. */
export const LENGTH = 68
/** Bits of the first hash word that choose a segment of slots. */
export const DEPTH = 72
/** Rows of the batch that are filled. */
export const BATCH_LENGTH = 76
/** Where the walk stands, where its series begins and ends, and the wire of a series that it is within; see the walk's codes. */
export const AT = 80
export const SERIES_AT = 84
export const SERIES_END = 88
export const WIRE = 92
/** Samples taken by the kernel since this was set to zero. */
export const TAKEN = 96
/** Arrival of the body, Unix s. */
export const ARRIVAL_S = 100
/** Seeds of the identity: of tenant and format. */
export const SEED = 104
export const SEED_CHECK = 108
/** Symbols of a 2.0 body, and where their hashes lie (12 bytes each). */
export const SYMBOLS = 112
export const SYMBOL_HASHES = 116
/** What the framing of a body showed: see FRAME_ flags. */
export const FRAME = 120
/** Wire, time and value of a sample that is handed back. */
export const SAMPLE_WIRE = 124
export const IO_TIME_MS = 128
export const IO_VALUE = 136
/** Latest time that is taken, and how long a counter may be silent, ms. */
export const LATEST_MS = 144
export const GAP_MS = 152
/** Identity of a series that is new, and where the labels end of what is handed back; 0 where that is not known. */
export const NEW_ID = 160
export const LABELS_END = 172
/** Where slots and identities of numbered labels lie (4 and 16 bytes each), and how many labels have a number. */
export const LABEL_SLOTS = 176
export const LABEL_IDS = 180
export const LABEL_COUNT = 184
/** Bytes that stand before the metric in a key. */
export const KEY_PREFIX = 188

/** Of the series whose labels were numbered last: a number each, and a place each (12 bytes). */
export const LABELS_MAX = 128
export const LABEL_NUMBERS = 1024
export const LABEL_PLACES = 2048
/** Places of the metric and of the labels in the order of the key, a byte each. */
export const KEY_ORDER = 3584
/** A key under way, and how long it may become. */
export const KEY = 4096
export const KEY_BYTES_MAX = 28_000

/** Labels numbered at once, and their slots, of which half are free. */
export const LABELS_NUMBERED = 8192
export const LABEL_SLOT_MASK = 16_383
/** Labels that are read the plain way; no number is left. */
export const LABELS_ODD = -1
export const LABELS_FULL = -2

/** A byte for each chunk of wires, and of sides: not 0 while a cut that is being written needs the chunk as it is. */
export const WIRE_KEPT = 32_768
export const SIDE_KEPT = 49_152

/** Pages 1 to 3: the word address of each chunk of wires, of sides, and of each segment of slots; 16,384 of each. */
export const WIRE_CHUNKS = 65_536
export const SIDE_CHUNKS = 131_072
export const SEGMENTS = 196_608
/** 2^14 segments of one page. */
export const DEPTH_MAX = 14

/** Pages 4 and 5: the batch of samples. */
export const BATCH_ROWS = 4096
export const BATCH_SERIES = 262_144
export const BATCH_TIME_MS = 278_528
export const BATCH_VALUE = 311_296

/** Pages from here on are given out as they are asked for. */
export const FIRST_FREE_PAGE = 6

/** A wire is 12 words. */
export const WIRE_WORDS = 12
export const WIRE_SHIFT = 12
export const WIRE_MASK = 4095
/** The identity: three words of hash; the third also tells whole histograms (top bit) from floats. */
export const WIRE_A = 0
export const WIRE_B = 1
export const WIRE_CHECK = 2
/** Row of the series table, -1 before the first value, -2 when there was no room for it. */
export const WIRE_ROW = 3
/** Last cumulative value and its time (f64 at words 4 and 6), 0 before the first. */
export const WIRE_LAST = 4
export const WIRE_LAST_MS = 6
/** Arrival of the last sample, Unix s. */
export const WIRE_SEEN_S = 8
/** Side of the wire, -1 without one. */
export const WIRE_SIDE = 9
/** Next wire that feeds the same row, or the next free one; -1 at the end. */
export const WIRE_NEXT = 10
/** plan | type << 8 | origin << 16. */
export const WIRE_KIND = 11

/** What only members of groups, outputs and those that wait have: 8 words. */
export const SIDE_WORDS = 8
export const SIDE_SHIFT = 11
export const SIDE_MASK = 2047
/** f64 at words 0, 2 and 4. */
export const SIDE_CUR = 0
export const SIDE_CUR_MS = 2
export const SIDE_BOUND = 4
export const SIDE_GROUP = 6
/** Next free side. */
export const SIDE_NEXT = 7

/** A segment of slots: one page of wire + 1, 0 where free. */
export const SLOTS = 16_384
export const SLOT_MASK = 16_383

/** Plans of wires that the kernel converts; see the wire table for all. */
export const PLAN_FREE = 0
export const PLAN_GAUGE = 2
export const PLAN_COUNTER = 3
export const PLAN_OUTPUT = 7

/** What a walk came to. */
export const WALK_END = 0
/** The batch is full. */
export const WALK_FULL = 1
/** A sample of a wire that the kernel does not convert: WIRE, IO_TIME_MS, IO_VALUE. */
export const WALK_SAMPLE = 2
/** A series that the kernel does not read: SERIES_AT to SERIES_END. */
export const WALK_SERIES = 3
/** One of 1.0 that is not known, of the identity at NEW_ID, with labels from SERIES_AT to LABELS_END and a single plain sample. */
export const WALK_NEW = 4

/** A body that is no clean sequence of fields; else how many symbols it has, and these flags. */
export const FRAME_BAD = -1
export const FRAME_METADATA = 1
export const FRAME_FIRST_SYMBOL = 2
