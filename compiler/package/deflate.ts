/**
 * A raw DEFLATE stream (RFC 1951) of bytes, at about the size of zlib's best. Our own, since a package has the same bytes
 * wherever it is made, and the streams of hosts differ.
 */
import { codesOf, lengthsOf } from "./huffman.ts";

const windowBytes = 32768;
const shortestMatch = 3;
const longestMatch = 258;
/** Earlier places with the same first bytes that are looked at. */
const mostTried = 256;
/** Symbols per block: codes follow what the content is like. */
const blockSymbols = 16384;

/** Literal and length symbols, distance symbols, and symbols of the code lengths. */
const literalCodes = 286;
const distanceCodes = 30;
const endOfBlock = 256;
const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A range of values that share a symbol: the first of them, and bits that tell them apart. */
interface Bucket {
  readonly first: number;
  readonly bits: number;
}

/** Buckets of `step` symbols per number of extra bits, after `plain` values without any. */
function bucketsOf(first: number, count: number, plain: number, step: number): readonly Bucket[] {
  const buckets: Bucket[] = [];
  let next = first;
  for (let index = 0; index < count; index++) {
    const bits = index < plain ? 0 : Math.floor((index - plain) / step) + 1;
    buckets.push({ first: next, bits });
    next += 2 ** bits;
  }
  return buckets;
}

const lengthBuckets: readonly Bucket[] = [...bucketsOf(shortestMatch, 28, 8, 4), { first: longestMatch, bits: 0 }];
const distanceBuckets = bucketsOf(1, distanceCodes, 4, 2);

/** Value -> index of its bucket. */
function indexBuckets(buckets: readonly Bucket[], most: number): Uint8Array {
  const index = new Uint8Array(most + 1);
  for (const [place, { first, bits }] of buckets.entries())
    index.fill(place, first, Math.min(most + 1, first + 2 ** bits));
  return index;
}

const lengthIndex = indexBuckets(lengthBuckets, longestMatch);
const distanceIndex = indexBuckets(distanceBuckets, windowBytes);

/** A literal, or a match of `length` (0 for literals) at `value` bytes before. */
interface Item {
  readonly length: number;
  readonly value: number;
}

export function deflate(bytes: Uint8Array): Uint8Array {
  const writer = new BitWriter();
  const items = itemsOf(bytes);
  for (let start = 0; start < Math.max(1, items.length); start += blockSymbols)
    writeBlock(writer, items.slice(start, start + blockSymbols), start + blockSymbols >= items.length);
  return writer.finish();
}

/** Greedy matches, put off by one byte where the next place has a longer one. */
function itemsOf(bytes: Uint8Array): readonly Item[] {
  const items: Item[] = [];
  const finder = new MatchFinder(bytes);
  let at = 0;
  let match = finder.longest(0, shortestMatch - 1);
  while (at < bytes.length) {
    finder.add(at);
    const next = finder.longest(at + 1, match?.length ?? shortestMatch - 1);
    if (!match || next) {
      items.push({ length: 0, value: bytes[at] as number });
      at++;
      match = next;
      continue;
    }
    items.push({ length: match.length, value: match.distance });
    for (let k = 1; k < match.length; k++) finder.add(at + k);
    at += match.length;
    match = finder.longest(at, shortestMatch - 1);
  }
  return items;
}

interface Match {
  readonly length: number;
  readonly distance: number;
}

/** Earlier places by a hash of the three bytes there, the latest first. */
class MatchFinder {
  readonly #bytes: Uint8Array;
  readonly #latest = new Int32Array(65536).fill(-1);
  readonly #before: Int32Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#before = new Int32Array(bytes.length).fill(-1);
  }

  add(at: number): void {
    if (at + shortestMatch > this.#bytes.length) return;
    const hash = this.#hash(at);
    this.#before[at] = this.#latest[hash] as number;
    this.#latest[hash] = at;
  }

  /** The longest match at `at` with something that was added; undefined when none is longer than `than`. */
  longest(at: number, than: number): Match | undefined {
    const bytes = this.#bytes;
    const most = Math.min(longestMatch, bytes.length - at);
    if (most <= than || most < shortestMatch) return undefined;
    let length = than;
    let distance = 0;
    let place = this.#latest[this.#hash(at)] as number;
    for (let tried = 0; tried < mostTried && place >= 0 && at - place <= windowBytes; tried++) {
      if (bytes[place + length] === bytes[at + length]) {
        let same = 0;
        while (same < most && bytes[place + same] === bytes[at + same]) same++;
        if (same > length) {
          length = same;
          distance = at - place;
          if (length === most) break;
        }
      }
      place = this.#before[place] as number;
    }
    return distance === 0 ? undefined : { length, distance };
  }

  #hash(at: number): number {
    const [a = 0, b = 0, c = 0] = [this.#bytes[at], this.#bytes[at + 1], this.#bytes[at + 2]];
    return (Math.imul((a << 16) | (b << 8) | c, 0x9e3779b1) >>> 16) & 0xffff;
  }
}

/** A block with codes of its own. */
function writeBlock(writer: BitWriter, items: readonly Item[], isLast: boolean): void {
  const literals = new Array<number>(literalCodes).fill(0);
  const distances = new Array<number>(distanceCodes).fill(0);
  const count = (list: number[], symbol: number): void => {
    list[symbol] = (list[symbol] as number) + 1;
  };
  for (const { length, value } of items) {
    if (length === 0) count(literals, value);
    else {
      count(literals, endOfBlock + 1 + (lengthIndex[length] as number));
      count(distances, distanceIndex[value] as number);
    }
  }
  count(literals, endOfBlock);
  // A reader wants one distance code at least.
  if (distances.every((uses) => uses === 0)) count(distances, 0);
  const literalLengths = trimmed(lengthsOf(literals, 15), 257);
  const distanceLengths = trimmed(lengthsOf(distances, 15), 1);
  const runs = runsOf([...literalLengths, ...distanceLengths]);
  const runCounts = new Array<number>(19).fill(0);
  for (const { symbol } of runs) count(runCounts, symbol);
  const runLengths = lengthsOf(runCounts, 7);
  const ordered = trimmed(
    lengthOrder.map((symbol) => runLengths[symbol] as number),
    4,
  );
  writer.write(isLast ? 1 : 0, 1);
  writer.write(2, 2);
  writer.write(literalLengths.length - 257, 5);
  writer.write(distanceLengths.length - 1, 5);
  writer.write(ordered.length - 4, 4);
  for (const length of ordered) writer.write(length, 3);
  const runCodes = codesOf(runLengths);
  for (const { symbol, extra, bits } of runs) {
    writer.write(runCodes[symbol] as number, runLengths[symbol] as number);
    writer.write(extra, bits);
  }
  const [literalCode, distanceCode] = [codesOf(literalLengths), codesOf(distanceLengths)];
  const put = (codes: readonly number[], lengths: readonly number[], symbol: number): void =>
    writer.write(codes[symbol] as number, lengths[symbol] as number);
  for (const { length, value } of items) {
    if (length === 0) {
      put(literalCode, literalLengths, value);
      continue;
    }
    const at = lengthIndex[length] as number;
    const far = distanceIndex[value] as number;
    put(literalCode, literalLengths, endOfBlock + 1 + at);
    writer.write(length - (lengthBuckets[at] as Bucket).first, (lengthBuckets[at] as Bucket).bits);
    put(distanceCode, distanceLengths, far);
    writer.write(value - (distanceBuckets[far] as Bucket).first, (distanceBuckets[far] as Bucket).bits);
  }
  put(literalCode, literalLengths, endOfBlock);
}

/** Without zeros at the end, but for the first `least`. */
function trimmed(lengths: readonly number[], least: number): readonly number[] {
  let end = lengths.length;
  while (end > least && lengths[end - 1] === 0) end--;
  return lengths.slice(0, end);
}

interface Run {
  readonly symbol: number;
  readonly extra: number;
  readonly bits: number;
}

/** Code lengths as symbols: 16 repeats the last one 3-6 times, 17 and 18 are 3-10 and 11-138 zeros. */
function runsOf(lengths: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  let at = 0;
  while (at < lengths.length) {
    const value = lengths[at] as number;
    let count = 1;
    while (lengths[at + count] === value) count++;
    at += count;
    if (value !== 0) {
      runs.push({ symbol: value, extra: 0, bits: 0 });
      count--;
    }
    while (count >= 3) {
      const taken = Math.min(count, value !== 0 ? 6 : 138);
      if (value !== 0) runs.push({ symbol: 16, extra: taken - 3, bits: 2 });
      else if (taken <= 10) runs.push({ symbol: 17, extra: taken - 3, bits: 3 });
      else runs.push({ symbol: 18, extra: taken - 11, bits: 7 });
      count -= taken;
    }
    for (; count > 0; count--) runs.push({ symbol: value, extra: 0, bits: 0 });
  }
  return runs;
}

/** Bits from the lowest of a byte up. */
class BitWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;
  #held = 0;
  #count = 0;

  write(value: number, bits: number): void {
    this.#held |= value << this.#count;
    this.#count += bits;
    while (this.#count >= 8) {
      this.#push(this.#held & 0xff);
      this.#held >>>= 8;
      this.#count -= 8;
    }
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#push(this.#held & 0xff);
    return this.#bytes.slice(0, this.#length);
  }

  #push(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}
