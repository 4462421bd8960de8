/** The table of operators: one line a record. */
import { closest, LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Node } from "../graph/graph.ts";
import { attentionOperator } from "./attention/attention.ts";
import { microsoftAttentionOperators } from "./attention/microsoft-attention.ts";
import { onnxAttentionOperator } from "./attention/onnx-attention.ts";
import { rotaryEmbeddingOperators } from "./attention/rotary-embedding.ts";
import { convOperator, convTransposeOperator } from "./contraction/convolution.ts";
import { einsumOperator } from "./contraction/einsum.ts";
import { fusedOperators } from "./contraction/fused.ts";
import { hostOperators } from "./contraction/host-operators.ts";
import { leafcutterConvOperator, leafcutterConvTransposeOperator } from "./contraction/leafcutter-convolution.ts";
import { leafcutterMatmulOperator } from "./contraction/leafcutter-matmul.ts";
import { leafcutterPoolOperator } from "./contraction/leafcutter-pool.ts";
import { gemmOperator, matmulOperator } from "./contraction/matmul.ts";
import { poolingOperators } from "./contraction/pooling.ts";
import { ifOperator } from "./control/if.ts";
import { loopOperator } from "./control/loop.ts";
import { unreachableOperator } from "./control/unreachable.ts";
import { activationOperators } from "./elementwise/activation.ts";
import { arithmeticOperators } from "./elementwise/arithmetic.ts";
import { conversionOperators } from "./elementwise/convert.ts";
import { logicOperators } from "./elementwise/logic.ts";
import { mathOperators } from "./elementwise/math.ts";
import { microsoftOperators } from "./elementwise/microsoft.ts";
import { compress, nonZero, topK, unique } from "./movement/choose.ts";
import { concat, split } from "./movement/concat.ts";
import { cumProd, cumSum, reverseSequence } from "./movement/cumulative.ts";
import { depthToSpace, spaceToDepth } from "./movement/depth-to-space.ts";
import { maxRoiPool, nonMaxSuppression, roiAlign } from "./movement/detection.ts";
import { expand, tile } from "./movement/expand.ts";
import { gather } from "./movement/gather.ts";
import { gatherElements, gatherND } from "./movement/gather-elements.ts";
import { constantOfShape, eyeLike, oneHot, range, trilu } from "./movement/generate.ts";
import { pad } from "./movement/pad.ts";
import { flatten, reshape, squeeze, unsqueeze } from "./movement/reshape.ts";
import { resize, upsample } from "./movement/resize.ts";
import { affineGrid, centerCropPad, col2Im, gridSample } from "./movement/sample-grid.ts";
import { scatterElements, scatterND, scatterOld } from "./movement/scatter.ts";
import { shape, size } from "./movement/shape.ts";
import { slice } from "./movement/slice.ts";
import { tensorScatter } from "./movement/tensor-scatter.ts";
import { transpose } from "./movement/transpose.ts";
import { blackmanWindow, hammingWindow, hannWindow, melWeightMatrix } from "./movement/window-function.ts";
import { axisNormalizationOperators } from "./normalisation/axis-normalization.ts";
import { batchNormalizationOperator } from "./normalisation/batch-normalization.ts";
import { channelNormalizationOperators } from "./normalisation/channel-normalization.ts";
import { layerNormalizationOperators } from "./normalisation/layer-normalization.ts";
import { skipNormalizationOperators } from "./normalisation/skip-normalization.ts";
import { logSoftmaxOperator, softmaxOperator } from "./normalisation/softmax.ts";
import type { Operator } from "./operator.ts";
import { dynamicQuantizeLinearOperator } from "./quantized/dynamic-quantize-linear.ts";
import { gatherBlockQuantizedOperator } from "./quantized/gather-block-quantized.ts";
import { integerConvolutionOperators } from "./quantized/integer-convolution.ts";
import { integerMatmulOperators } from "./quantized/integer-matmul.ts";
import { leafcutterIntegerConvOperator } from "./quantized/leafcutter-integer-convolution.ts";
import { leafcutterIntegerMatmulOperator } from "./quantized/leafcutter-integer-matmul.ts";
import { matmulNBitsOperator } from "./quantized/matmul-nbits.ts";
import { microsoftQuantizedOperators } from "./quantized/microsoft.ts";
import { quantizeLinearOperators } from "./quantized/quantize-linear.ts";
import { gruOperator } from "./recurrent/gru.ts";
import { leafcutterRecurrentOperator } from "./recurrent/leafcutter-recurrent.ts";
import { lstmOperator } from "./recurrent/lstm.ts";
import { rnnOperator } from "./recurrent/rnn.ts";
import { argExtremeOperators } from "./reduction/arg-extreme.ts";
import { reduceOperators } from "./reduction/reduce.ts";

const operators: readonly Operator[] = [
  ...arithmeticOperators,
  ...mathOperators,
  ...activationOperators,
  ...microsoftOperators,
  ...logicOperators,
  ...conversionOperators,
  convOperator,
  convTransposeOperator,
  leafcutterConvOperator,
  leafcutterConvTransposeOperator,
  leafcutterMatmulOperator,
  leafcutterPoolOperator,
  attentionOperator,
  gemmOperator,
  matmulOperator,
  ...poolingOperators,
  batchNormalizationOperator,
  softmaxOperator,
  logSoftmaxOperator,
  ...reduceOperators,
  einsumOperator,
  ...hostOperators,
  ...argExtremeOperators,
  ...layerNormalizationOperators,
  ...channelNormalizationOperators,
  ...axisNormalizationOperators,
  ...skipNormalizationOperators,
  ...fusedOperators,
  ...rotaryEmbeddingOperators,
  onnxAttentionOperator,
  ...microsoftAttentionOperators,
  reshape,
  flatten,
  squeeze,
  unsqueeze,
  shape,
  size,
  transpose,
  concat,
  split,
  slice,
  gather,
  depthToSpace,
  spaceToDepth,
  resize,
  upsample,
  nonZero,
  compress,
  unique,
  topK,
  gridSample,
  affineGrid,
  col2Im,
  centerCropPad,
  nonMaxSuppression,
  roiAlign,
  maxRoiPool,
  hannWindow,
  hammingWindow,
  blackmanWindow,
  melWeightMatrix,
  expand,
  tile,
  constantOfShape,
  range,
  eyeLike,
  trilu,
  oneHot,
  pad,
  gatherElements,
  gatherND,
  scatterElements,
  scatterOld,
  scatterND,
  tensorScatter,
  cumSum,
  cumProd,
  reverseSequence,
  lstmOperator,
  gruOperator,
  rnnOperator,
  leafcutterRecurrentOperator,
  ...quantizeLinearOperators,
  dynamicQuantizeLinearOperator,
  ...integerConvolutionOperators,
  ...integerMatmulOperators,
  ...microsoftQuantizedOperators,
  matmulNBitsOperator,
  gatherBlockQuantizedOperator,
  leafcutterIntegerConvOperator,
  leafcutterIntegerMatmulOperator,
  ifOperator,
  loopOperator,
  unreachableOperator,
];

const table: ReadonlyMap<string, Operator> = new Map(operators.map((operator) => [operator.op, operator]));

/** Names of all operators that have a record. */
export const operatorNames: readonly string[] = [...table.keys()].sort();

/** The record of an operator; undefined when there is none. */
export const findOperator = (op: string): Operator | undefined => table.get(op);

/** The record of a node's operator. Throws operator-unknown with the nearest name. */
export function operatorOf(node: Pick<Node, "op" | "name">): Operator {
  const operator = table.get(node.op);
  if (operator) return operator;
  const nearest = closest(node.op, operatorNames);
  throw new LeafcutterError({
    code: "operator-unknown",
    where: `node ${node.name}`,
    message: `operator ${node.op} is not known`,
    advice: nearest
      ? `The nearest known operator is ${nearest}.`
      : "Replace the operator in the model, or run this model with another engine.",
  });
}
