/** Prefix codes of limited length by package-merge, and their canonical values as DEFLATE wants them. */

interface Tree {
  readonly weight: number;
  readonly symbols: readonly number[];
}

/** Bits of each symbol's code, at most `most`; 0 for symbols that do not occur. At least two codes, so that the code is whole. */
export function lengthsOf(counts: readonly number[], most: number): readonly number[] {
  const lengths = new Array<number>(counts.length).fill(0);
  const leaves = counts
    .flatMap((weight, symbol): readonly Tree[] => (weight > 0 ? [{ weight, symbols: [symbol] }] : []))
    .sort((left, right) => left.weight - right.weight);
  if (leaves.length === 1) {
    const [
      {
        symbols: [only = 0],
      } = { symbols: [0] },
    ] = leaves;
    lengths[only] = 1;
    lengths[only === 0 ? 1 : 0] = 1;
    return lengths;
  }
  let packages: readonly Tree[] = [];
  for (let level = 0; level < most; level++) packages = pairs(merged(leaves, packages));
  for (const { symbols } of packages.slice(0, leaves.length - 1))
    for (const symbol of symbols) lengths[symbol] = (lengths[symbol] as number) + 1;
  return lengths;
}

function merged(left: readonly Tree[], right: readonly Tree[]): readonly Tree[] {
  return [...left, ...right].sort((one, other) => one.weight - other.weight);
}

function pairs(trees: readonly Tree[]): readonly Tree[] {
  const result: Tree[] = [];
  for (let at = 0; at + 1 < trees.length; at += 2) {
    const [one, other] = [trees[at] as Tree, trees[at + 1] as Tree];
    result.push({ weight: one.weight + other.weight, symbols: [...one.symbols, ...other.symbols] });
  }
  return result;
}

/** The codes of these lengths, with their first bit lowest. */
export function codesOf(lengths: readonly number[]): readonly number[] {
  const counts = new Array<number>(17).fill(0);
  for (const length of lengths) if (length > 0) counts[length] = (counts[length] as number) + 1;
  const next = new Array<number>(17).fill(0);
  for (let bits = 1; bits <= 16; bits++) next[bits] = ((next[bits - 1] as number) + (counts[bits - 1] as number)) << 1;
  return lengths.map((length) => {
    if (length === 0) return 0;
    const code = next[length] as number;
    next[length] = code + 1;
    return reversed(code, length);
  });
}

function reversed(code: number, bits: number): number {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) result |= ((code >> bit) & 1) << (bits - 1 - bit);
  return result;
}
