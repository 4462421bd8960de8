/** Computes one node as generated WebAssembly, when its lowering is loop nests that can be bound. */

import type { Buffer, View } from "../../compiler/kernels/contract.ts";
import { bindLoopNest, isBindable } from "../../compiler/kernels/loop/bind.ts";
import { lowerElementwise } from "../../compiler/ops/elementwise/lower.ts";
import { operatorOf } from "../../compiler/ops/index.ts";
import type { StepOperand } from "../../compiler/ops/operator.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { contextOf, inferCall, type Knowledge, type NodeCall } from "../ops/execute.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, gappedBuffer, scatter } from "./tensors.ts";

export interface WasmExecution {
  readonly outputs: readonly Tensor[];
  readonly kernels: readonly string[];
}

/** Strides of operands and outputs: row-major, or with gaps after every row and plane. */
export type Placement = "dense" | "gapped";

function placed(name: string, dtype: DType, shape: readonly number[], placement: Placement): View {
  if (placement === "dense") return denseBuffer(name, dtype, shape);
  return gappedBuffer(
    name,
    dtype,
    shape,
    shape.map((_, axis) => (axis === shape.length - 1 ? axis % 2 : 3)),
    5,
  );
}

/** undefined when the lowering is none, a view, needs a family that no nest replaces, or is not bindable. */
export function executeWasm(
  call: NodeCall,
  knowledge: Knowledge,
  placement: Placement,
  parts: number,
): WasmExecution | undefined {
  const context = contextOf(call, knowledge);
  const operator = operatorOf(context.node);
  const expression = operator.lower ? undefined : operator.expression?.(context);
  const lowering = operator.lower ? operator.lower(context) : expression && lowerElementwise(context, expression);
  if (lowering?.kind !== "steps") return undefined;
  const nests = lowering.steps.flatMap((step) => {
    const nest = step.kind === "nest" ? step : step.otherwise;
    return nest && isBindable(nest.nest) ? [nest] : [];
  });
  if (nests.length < lowering.steps.length) return undefined;
  const types = inferCall(call, knowledge).types;
  const initial = new Map<Buffer, Uint8Array>();
  const inputs = call.inputs.map((input, index) => {
    if (!input) return undefined;
    const view = placed(`input ${index}`, input.dtype, input.shape, placement);
    initial.set(view.buffer, scatter(view, input));
    return view;
  });
  const outputs = types.map(({ dtype, shape }, index) =>
    placed(`output ${index}`, dtype, shape as readonly number[], placement),
  );
  const temporaries = lowering.temporaries.map(({ dtype, shape }, index) =>
    denseBuffer(`temporary ${index}`, dtype, shape as readonly number[]),
  );
  const viewOf = (operand: StepOperand): View => {
    const view = { input: inputs, output: outputs, temporary: temporaries }[operand.kind][operand.index];
    if (!view) throw new RangeError(`${operand.kind} ${operand.index} does not exist`);
    return view;
  };
  const steps = nests.map(({ nest, operands, output }) => bindLoopNest(nest, operands.map(viewOf), viewOf(output)));
  const result = runSteps(steps, { initial, parts });
  return {
    outputs: outputs.map((view) => collect(view, result.get(view.buffer) as Uint8Array)),
    kernels: steps.map(({ kernel }) => kernel.name),
  };
}
