/**
 * SHA-256 (FIPS 180-4), incremental. For contexts without crypto.subtle: plain http on a local network, some webviews.
 */

/** The first 32 bits of the fractional part of a root, computed from the primes as the standard defines them. */
function fractionBits(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

function firstPrimes(count: number): readonly number[] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}

const primes = firstPrimes(64);
const roundConstants = Int32Array.from(primes, (prime) => fractionBits(Math.cbrt(prime)));
const initialState = Int32Array.from(primes.slice(0, 8), (prime) => fractionBits(Math.sqrt(prime)));

const blockBytes = 64;

const rotate = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits));

export class Sha256 {
  readonly #state = Int32Array.from(initialState);
  readonly #schedule = new Int32Array(64);
  readonly #block = new Uint8Array(blockBytes);
  #filled = 0;
  #length = 0;

  update(bytes: Uint8Array): this {
    this.#length += bytes.byteLength;
    let offset = 0;
    while (offset < bytes.byteLength) {
      const count = Math.min(blockBytes - this.#filled, bytes.byteLength - offset);
      if (count === blockBytes) {
        this.#compress(bytes, offset);
      } else {
        this.#block.set(bytes.subarray(offset, offset + count), this.#filled);
        this.#filled += count;
        if (this.#filled === blockBytes) {
          this.#compress(this.#block, 0);
          this.#filled = 0;
        }
      }
      offset += count;
    }
    return this;
  }

  /** The 32 bytes of the hash; no update may follow. */
  digest(): Uint8Array {
    const length = this.#length;
    const padding = new Uint8Array(((119 - (length % blockBytes)) % blockBytes) + 9);
    const view = new DataView(padding.buffer);
    padding[0] = 0x80;
    view.setUint32(padding.byteLength - 8, Math.floor(length / 2 ** 29));
    view.setUint32(padding.byteLength - 4, (length * 8) >>> 0);
    this.update(padding);
    const result = new DataView(new ArrayBuffer(32));
    for (const [index, word] of this.#state.entries()) result.setInt32(4 * index, word);
    return new Uint8Array(result.buffer);
  }

  #compress(bytes: Uint8Array, offset: number): void {
    const words = this.#schedule;
    for (let i = 0; i < 16; i++) {
      const at = offset + 4 * i;
      words[i] =
        ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    }
    for (let i = 16; i < 64; i++) {
      const early = words[i - 15] ?? 0;
      const late = words[i - 2] ?? 0;
      const sigma0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
      const sigma1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
      words[i] = ((words[i - 16] ?? 0) + sigma0 + (words[i - 7] ?? 0) + sigma1) | 0;
    }
    const state = this.#state;
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let i = 0; i < 64; i++) {
      const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const choice = (e & f) ^ (~e & g);
      const first = (h + sum1 + choice + (roundConstants[i] ?? 0) + (words[i] ?? 0)) | 0;
      const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const second = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = (state[index] ?? 0) + value;
  }
}
