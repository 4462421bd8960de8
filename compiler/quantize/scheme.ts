/**
 * How one layer (a product with constant weights, or a table) can be computed: the options among which a budget chooses.
 * Everything but "int8" changes the weights only and computes in float32.
 */

export type BlockSize = 16 | 32 | 64 | 128;

export type Scheme =
  /** As the model has it. */
  | { readonly kind: "float32" }
  | { readonly kind: "float16" }
  /** One scale per output channel. */
  | { readonly kind: "int8-weights" }
  /** Four bits a weight; asymmetric where `zeros` (int4 only). */
  | { readonly kind: "int4" | "nf4"; readonly blockSize: BlockSize; readonly zeros: boolean }
  /**
   * int8 weights per channel and integers in front: `activationBits` of 7 keep them in 0..127 for the relaxed dot.
   * `dynamic` (of 8 bits): the range of the activations is found in every run instead of by calibration, for each row of a product.
   */
  | { readonly kind: "int8"; readonly activationBits: 7 | 8; readonly dynamic: boolean };

/** "float32", "float16", "int8-weights", "int4/32", "int4/32 symmetric", "nf4/64", "int8", "int8 7-bit", "int8 dynamic". */
export function schemeName(scheme: Scheme): string {
  switch (scheme.kind) {
    case "float32":
    case "float16":
    case "int8-weights":
      return scheme.kind;
    case "int4":
      return `int4/${scheme.blockSize}${scheme.zeros ? "" : " symmetric"}`;
    case "nf4":
      return `nf4/${scheme.blockSize}`;
    case "int8":
      return `int8${scheme.activationBits === 7 ? " 7-bit" : ""}${scheme.dynamic ? " dynamic" : ""}`;
  }
}

const blockSizes: readonly BlockSize[] = [16, 32, 64, 128];

/** The scheme of that name ("int8-dynamic" is one, too); blocks are of 32 when the name does not say. undefined when there is none. */
export function parseScheme(name: string): Scheme | undefined {
  switch (name) {
    case "float32":
    case "float16":
    case "int8-weights":
      return { kind: name };
    case "int8":
    case "int8 7-bit":
    case "int8 dynamic":
    case "int8-dynamic":
      return { kind: "int8", activationBits: name === "int8 7-bit" ? 7 : 8, dynamic: name.endsWith("dynamic") };
  }
  const [, kind, size = "32", symmetric] = /^(int4|nf4)(?:\/(\d+))?( symmetric)?$/.exec(name) ?? [];
  const blockSize = blockSizes.find((candidate) => String(candidate) === size);
  if (blockSize === undefined || (kind !== "int4" && kind !== "nf4") || (kind === "nf4" && symmetric)) return undefined;
  return { kind, blockSize, zeros: kind === "int4" && symmetric === undefined };
}
