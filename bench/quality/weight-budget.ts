/**
 * A package whose weights take a share of the bytes that those of another take, made as users make one: `compile` with
 * samples and a size. A size counts all files, so it is moved until the weights are what was asked for.
 */
import type { Sample } from "../../compiler/budget/tools.ts";
import { compile, type Package } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { type Scheme, schemeName } from "../../compiler/quantize/scheme.ts";

const mostRounds = 4;
/** Share of the bytes that may stay unused. */
const slack = 0.01;

export interface WeightBudget {
  readonly samples: readonly Sample[];
  readonly share: number;
  /** The scheme of all layers of the package that the share is of. */
  readonly of: Scheme;
}

export interface FittedPackage {
  readonly files: Package["files"];
  readonly weightBytes: number;
  /** Weight bytes against those of the other package. */
  readonly share: number;
}

/** The model at `path` in the fullest package found that keeps the share. Throws budget-infeasible. */
export async function compileToWeightBytes(path: string, { samples, share, of }: WeightBudget): Promise<FittedPackage> {
  const source = fileSource(path);
  const { report } = await compile(source, { samples, precision: of });
  const allowed = Math.floor(share * report.weightBytes);
  let rest = report.totalBytes - report.weightBytes;
  let best: Package | undefined;
  for (let round = 0; round < mostRounds; round++) {
    const made = await compile(source, { samples, maxSize: allowed + rest });
    const { weightBytes, totalBytes } = made.report;
    const excess = weightBytes - allowed;
    if (excess <= 0 && weightBytes > (best?.report.weightBytes ?? 0)) best = made;
    if (excess <= 0 && excess >= -slack * allowed) break;
    const measured = totalBytes - weightBytes;
    // A limit that was too loose has to become tighter, whatever else the package has.
    rest = excess > 0 ? Math.min(measured, rest - excess) : Math.max(measured, rest);
  }
  if (!best) throw new Error(`no package found of ${allowed} weight bytes, ${share} of those of ${schemeName(of)}`);
  const { weightBytes } = best.report;
  return { files: best.files, weightBytes, share: weightBytes / report.weightBytes };
}
