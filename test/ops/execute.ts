/** Ways to compute one node on concrete tensors, each from another part of its record. */
import { FactStore } from "../../compiler/graph/facts.ts";
import type { Attributes, Node, TensorType, Value } from "../../compiler/graph/graph.ts";
import { interpretNest } from "../../compiler/loop/interpret.ts";
import { referenceAttributes } from "../../compiler/ops/attributes.ts";
import { lowerElementwise } from "../../compiler/ops/elementwise/lower.ts";
import { operatorOf } from "../../compiler/ops/index.ts";
import { inferNode, operatorContext } from "../../compiler/ops/infer.ts";
import type { OperatorContext, StepOperand } from "../../compiler/ops/operator.ts";
import { type Tensor, viewOf, zeros } from "../../runtime/format/tensor.ts";
import { evaluateElementwise } from "../../runtime/reference/expression.ts";
import { executeDynamicQuantize } from "./execute-dynamic-quantize.ts";
import { executeInteger } from "./execute-integer.ts";
import { executeProblem } from "./execute-problem.ts";
import { executeRecurrent } from "./execute-recurrent.ts";

/** One node with its inputs. */
export interface NodeCall {
  readonly op: string;
  readonly version: number;
  readonly attributes: Attributes;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputCount: number;
}

/** Whether the record may look at the content of the inputs. */
export type Knowledge = "constants" | "types";

function prepared(call: NodeCall, knowledge: Knowledge): { readonly node: Node; readonly facts: FactStore } {
  const facts = new FactStore();
  const inputs = call.inputs.map((tensor, index): Value | undefined => {
    if (!tensor) return undefined;
    const value: Value = { name: `input ${index}`, type: { dtype: tensor.dtype, shape: tensor.shape } };
    if (knowledge === "constants") facts.setConstant(value, tensor);
    return value;
  });
  const outputs = Array.from({ length: call.outputCount }, (_, index): Value => {
    return { name: `output ${index}`, type: { dtype: "float32", shape: [] } };
  });
  const { op, version, attributes } = call;
  return { node: { op, version, name: op, sources: [op], inputs, outputs, attributes }, facts };
}

/** What the record says about the outputs' types, and about the integers in output 0. */
export function inferCall(call: NodeCall, knowledge: Knowledge) {
  const { node, facts } = prepared(call, knowledge);
  return inferNode(node, facts);
}

export function contextOf(call: NodeCall, knowledge: Knowledge): OperatorContext {
  const { node, facts } = prepared(call, knowledge);
  return operatorContext(node, facts);
}

/** By the record's reference. */
export function executeReference(call: NodeCall): readonly Tensor[] {
  const { node } = prepared(call, "constants");
  const { reference } = operatorOf(node);
  return reference({ ...call, attributes: referenceAttributes(node) });
}

/** By the record's expression; undefined when it has none for this form. */
export function executeExpression(call: NodeCall, knowledge: Knowledge): readonly Tensor[] | undefined {
  const context = contextOf(call, knowledge);
  const expression = operatorOf(context.node).expression?.(context);
  return expression && [evaluateElementwise(expression, call.inputs)];
}

/** By interpreting the record's lowering, nests and family problems; undefined when there is none. */
export function executeLoops(call: NodeCall, knowledge: Knowledge): readonly Tensor[] | undefined {
  const context = contextOf(call, knowledge);
  const operator = operatorOf(context.node);
  const expression = operator.lower ? undefined : operator.expression?.(context);
  const lowering = operator.lower ? operator.lower(context) : expression && lowerElementwise(context, expression);
  if (!lowering) return undefined;
  const types = inferCall(call, knowledge).types;
  if (lowering.kind === "view") {
    const [source, type] = [call.inputs[0], types[0]];
    if (!source || !type) return undefined;
    const { buffer, byteOffset, length } = source.data;
    const data = viewOf(type.dtype, buffer, byteOffset, length);
    return [{ dtype: type.dtype, shape: type.shape as readonly number[], data }];
  }
  const empty = (type: TensorType): Tensor => zeros(type.dtype, type.shape as readonly number[]);
  const outputs: Tensor[] = types.map(empty);
  const temporaries = lowering.temporaries.map(empty);
  const tensorOf = (operand: StepOperand): Tensor => {
    const place = { input: call.inputs, output: outputs, temporary: temporaries }[operand.kind];
    const tensor = place[operand.index];
    if (!tensor) throw new RangeError(`${operand.kind} ${operand.index} does not exist`);
    return tensor;
  };
  for (const step of lowering.steps) {
    const nest = step.kind === "nest" ? step : step.otherwise;
    if (nest) interpretNest(nest.nest, nest.operands.map(tensorOf), tensorOf(nest.output));
    if (step.kind === "nest") continue;
    const [target] = step.outputs;
    if (!target) throw new RangeError("the step has no output");
    const operands = step.operands.map((operand) => operand && tensorOf(operand));
    if (step.problem.family === "recurrent") {
      executeRecurrent(step.problem, operands).forEach((result, index) => {
        tensorOf(step.outputs[index] as StepOperand).data.set(result.data as never);
      });
      continue;
    }
    if (step.problem.family === "dynamic-quantize") {
      executeDynamicQuantize(operands[0] as Tensor).forEach((result, index) => {
        tensorOf(step.outputs[index] as StepOperand).data.set(result.data as never);
      });
      continue;
    }
    if ("inputBits" in step.problem) {
      // The family and the nest that stands in for it are two forms of one step.
      const { shape, data } = tensorOf(target);
      const result = executeInteger(step.problem, operands, shape).data;
      const differs = nest ? data.findIndex((value, index) => value !== result[index]) : -1;
      if (differs >= 0) throw new Error(`${step.problem.family} and its nest differ at element ${differs}`);
      data.set(result as never);
      continue;
    }
    const result = executeProblem(step.problem, operands, tensorOf(target).shape);
    // A family writes the same elements whatever shape its problem gives them.
    tensorOf(target).data.set(result.data as never);
  }
  return outputs;
}
