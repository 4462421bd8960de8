/**
 * Results of calibration by the content of what they came from, so that what was done once (perhaps before a bad sample or an
 * abort) is not done again. The store may be anything that keeps bytes by name; it can fail, forget and lie: an entry that is
 * not what was put there is found out by its hash and made again, and a store that fails is a note, never an error.
 */
import { digestOf } from "./graph-hash.ts";

/** Where the cache keeps its entries. Keys are letters, digits, dots and hyphens. */
export interface CalibrationStore {
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, bytes: Uint8Array): Promise<void>;
}

/** Typed arrays by name, as many records as it takes. */
export type ArrayRecords = readonly Readonly<Record<string, Float64Array | Float32Array | Int32Array>>[];

export interface CacheCounts {
  /** Entries taken, made, and found broken. */
  readonly hits: number;
  readonly misses: number;
  readonly broken: number;
}

const hashBytes = 32;

export class WorkCache {
  readonly #store: CalibrationStore;
  readonly #version: string;
  readonly #notes = new Set<string>();
  #writable = true;
  #counts = { hits: 0, misses: 0, broken: 0 };

  /** Entries of another `version` of the compiler are not taken. */
  constructor(store: CalibrationStore, version: string) {
    this.#store = store;
    this.#version = version;
  }

  get counts(): CacheCounts {
    return this.#counts;
  }

  /** What went wrong with the store, in sentences; each once. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /** What `make` made for this key before, or makes now. */
  async recall(key: string, make: () => Promise<ArrayRecords>): Promise<ArrayRecords> {
    const kept = await this.read(key);
    if (kept) return kept;
    const made = await make();
    await this.write(key, made);
    return made;
  }

  async read(key: string): Promise<ArrayRecords | undefined> {
    const bytes = await this.#store.get(`${this.#version}-${key}`).catch((error: unknown) => {
      this.#notes.add(`the calibration cache cannot be read: ${reasonOf(error)}`);
      return undefined;
    });
    const records = bytes && (await decode(bytes));
    if (bytes && !records) {
      this.#counts.broken++;
      this.#notes.add("an entry of the calibration cache was damaged, and was made again");
    }
    if (records) this.#counts.hits++;
    else this.#counts.misses++;
    return records;
  }

  async write(key: string, records: ArrayRecords): Promise<void> {
    if (!this.#writable) return;
    try {
      await this.#store.put(`${this.#version}-${key}`, await encode(records));
    } catch (error) {
      this.#writable = false;
      this.#notes.add(`the calibration cache cannot be written: ${reasonOf(error)}`);
    }
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const arrayTypes = { Float64Array, Float32Array, Int32Array } as const;
type ArrayType = keyof typeof arrayTypes;

interface Header {
  /** Per record: name, type and length of each array, in the order of their bytes. */
  readonly records: readonly (readonly (readonly [name: string, type: ArrayType, length: number])[])[];
}

/** [hash of the rest][bytes of the header][header as JSON][arrays, one after the other]. */
async function encode(records: ArrayRecords): Promise<Uint8Array> {
  const header: Header = {
    records: records.map((record) =>
      Object.entries(record).map(([name, array]) => [name, array.constructor.name as ArrayType, array.length] as const),
    ),
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const arrays = records.flatMap((record) => Object.values(record));
  const start = hashBytes + 4;
  const bytes = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, start + text.byteLength));
  new DataView(bytes.buffer).setUint32(hashBytes, text.byteLength, true);
  bytes.set(text, start);
  let at = start + text.byteLength;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  bytes.set(await digestOf(bytes.subarray(hashBytes)));
  return bytes;
}

/** undefined for anything but what `encode` made. */
async function decode(given: Uint8Array): Promise<ArrayRecords | undefined> {
  // A store may answer with something more than a Uint8Array, whose slices are no copies.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  const start = hashBytes + 4;
  if (bytes.byteLength < start) return undefined;
  const hash = await digestOf(bytes.subarray(hashBytes));
  if (hash.some((byte, i) => byte !== bytes[i])) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(hashBytes, true);
  const { records } = JSON.parse(new TextDecoder().decode(bytes.subarray(start, start + length))) as Header;
  let at = start + length;
  return records.map((record) =>
    Object.fromEntries(
      record.map(([name, type, count]) => {
        const Type = arrayTypes[type];
        const end = at + count * Type.BYTES_PER_ELEMENT;
        const array = new Type(bytes.slice(at, end).buffer);
        at = end;
        return [name, array];
      }),
    ),
  );
}
