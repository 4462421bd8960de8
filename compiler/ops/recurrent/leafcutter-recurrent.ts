/**
 * leafcutter.Recurrent: the canonical recurrent layer. Inputs and attributes are those of the ONNX operator but: W
 * [D*G*H, I] and R [D*G*H, H] are matrices, W is absent where input 0 is already multiplied by it (see RecurrentProblem),
 * `cell` names the operator in lower case, `outputs` those of Y, Y_h and Y_c that there are.
 */
import { leafcutterRecurrent } from "../../../runtime/reference/recurrent.ts";
import { floatOf, integerOf, stringOf } from "../../graph/attribute.ts";
import type { TensorType } from "../../graph/graph.ts";
import type { RecurrentCell, RecurrentOutput } from "../../kernels/problem.ts";
import { inputOperand, optionalOperand, type WeightAxes, weightsOf } from "../contraction/operands.ts";
import { defineOperator, type Lowering, type OperatorContext, type StepOperand, sumTolerance } from "../operator.ts";
import { activationsOf } from "./activation.ts";
import { defaultActivations, gates, type Layer, layerOf, outputTypes } from "./layer.ts";

const outputNames: readonly RecurrentOutput[] = ["Y", "Y_h", "Y_c"];

const weightAxes: WeightAxes = { channels: 0, terms: 1 };

function cellOf(context: OperatorContext): RecurrentCell {
  const cell = stringOf(context.node, "cell", "");
  return cell === "lstm" || cell === "gru" || cell === "rnn" ? cell : context.fail("attribute cell is unknown");
}

function outputsOf(context: OperatorContext): readonly RecurrentOutput[] {
  const names = context.node.attributes.outputs;
  if (names?.kind !== "strings") return context.fail("attribute outputs is missing");
  return names.value.map(
    (name) => outputNames.find((one) => one === name) ?? context.fail(`output ${name} does not exist`),
  );
}

function hiddenSizeOf(context: OperatorContext, cell: RecurrentCell, { directions }: Layer): number {
  const [rows, hidden] = context.type(2).shape;
  if (typeof hidden !== "number" || rows !== directions * gates[cell] * hidden)
    return context.fail("R has the wrong shape");
  return hidden;
}

function infer(context: OperatorContext): readonly TensorType[] {
  const layer = layerOf(context);
  const types = outputTypes(context, layer, hiddenSizeOf(context, cellOf(context), layer));
  return outputsOf(context).map((name) => types[outputNames.indexOf(name)] as TensorType);
}

function lower(context: OperatorContext): Lowering | undefined {
  const { node } = context;
  if (context.type(0).dtype !== "float32") return undefined;
  const cell = cellOf(context);
  const layer = layerOf(context);
  const { direction, directions, batchFirst, time, batch } = layer;
  const all = activationsOf(context, directions, defaultActivations[cell]);
  const perDirection = defaultActivations[cell].length;
  const activations = all.slice(0, perDirection);
  const isShared = JSON.stringify(all.slice(-perDirection)) === JSON.stringify(activations);
  const isConstant = [1, 2, 3, 7].every((index) => !context.has(index) || context.constant(index));
  const inputSize = context.type(0).shape[2];
  if (!isShared || !isConstant || typeof inputSize !== "number") return undefined;
  const clip = floatOf(node, "clip", 0);
  const operands: readonly (StepOperand | undefined)[] = [
    inputOperand(0),
    ...[1, 2, 3, 4, 5, 6, 7].map((index) => optionalOperand(context, index)),
  ];
  return {
    kind: "steps",
    steps: [
      {
        kind: "family",
        problem: {
          family: "recurrent",
          cell,
          direction,
          time,
          batch,
          inputSize,
          hiddenSize: hiddenSizeOf(context, cell, layer),
          projected: !context.has(1),
          batchFirst,
          activations,
          clip: clip > 0 ? clip : undefined,
          inputForget: integerOf(node, "input_forget", 0) !== 0,
          linearBeforeReset: integerOf(node, "linear_before_reset", 0) !== 0,
          peepholes: context.has(7),
          outputs: outputsOf(context),
          inputWeights: context.has(1) ? weightsOf(context, 1, weightAxes) : { storage: "float32" },
          stateWeights: weightsOf(context, 2, weightAxes),
        },
        operands,
        outputs: outputsOf(context).map((_, index): StepOperand => ({ kind: "output", index })),
      },
    ],
    temporaries: [],
  };
}

export const leafcutterRecurrentOperator = defineOperator({
  op: "leafcutter.Recurrent",
  infer,
  reference: leafcutterRecurrent,
  lower,
  tolerance: sumTolerance,
});
