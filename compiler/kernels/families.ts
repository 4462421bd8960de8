/** The families by name. */
import { attentionFamily } from "./attention/family.ts";
import type { Family } from "./contract.ts";
import { convFamily } from "./conv/family.ts";
import { integerConvFamily } from "./conv-i8/family.ts";
import { convTransposeFamily } from "./conv-transpose/family.ts";
import { depthwiseFamily } from "./depthwise/family.ts";
import { integerDepthwiseFamily } from "./depthwise-i8/family.ts";
import { dynamicQuantizeFamily } from "./dynamic-quantize/family.ts";
import { matmulFamily } from "./matmul/family.ts";
import { integerMatmulFamily } from "./matmul-i8/family.ts";
import { normFamily } from "./norm/family.ts";
import { poolFamily } from "./pool/family.ts";
import type { Problem } from "./problem.ts";
import { recurrentFamily } from "./recurrent/family.ts";
import { reduceFamily } from "./reduce/family.ts";
import { softmaxFamily } from "./softmax/family.ts";

const families: { readonly [P in Problem as P["family"]]?: Family<P> } = {
  attention: attentionFamily,
  conv: convFamily,
  "conv-i8": integerConvFamily,
  "conv-transpose": convTransposeFamily,
  depthwise: depthwiseFamily,
  "depthwise-i8": integerDepthwiseFamily,
  "dynamic-quantize": dynamicQuantizeFamily,
  matmul: matmulFamily,
  "matmul-i8": integerMatmulFamily,
  norm: normFamily,
  pool: poolFamily,
  recurrent: recurrentFamily,
  reduce: reduceFamily,
  softmax: softmaxFamily,
};

/** The family that computes a problem. */
export function familyOf<P extends Problem>(problem: P): Family<P> {
  // The table's key is the problem's own tag, which the type of an indexed access cannot express.
  return families[problem.family] as unknown as Family<P>;
}

/** Every family, for tests and benches that walk their variants. */
export const allFamilies: readonly Family<Problem>[] = Object.values(families) as unknown as readonly Family<Problem>[];
