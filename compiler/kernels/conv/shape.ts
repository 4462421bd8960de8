/** What the code of a convolution depends on: kernels of equal shapes are the same function. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { StoredWeights } from "../problem.ts";
import type { EpilogueForm, OperandChannels } from "../tile/finish.ts";
import type { TileShape } from "../tile/multiply.ts";

export interface ConvShape extends StoredWeights {
  readonly tile: TileShape;
  readonly epilogue: Expression | undefined;
  readonly form: EpilogueForm;
  readonly operandChannels: readonly OperandChannels[];
  /** Taps of a kernel row are one run of floats. */
  readonly contiguous: boolean;
  /** One kernel row. */
  readonly singleRow: boolean;
  readonly names: readonly string[];
}
