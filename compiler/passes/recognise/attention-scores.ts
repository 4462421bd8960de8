/**
 * The scores of a spelled-out attention: what stands between the product of queries and keys and the Softmax, as a
 * factor, a cap and a list of terms that are added.
 */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { permutationOf } from "../permutation.ts";

/** Something added to the scores, broadcastable to `scores`, the shape they have there. */
export type ScoreTerm =
  | { readonly kind: "value"; readonly value: Value; readonly factor: number; readonly scores: readonly Dim[] }
  /** `replacement` takes the place of the scores where the condition is true (or false): added, it hides them as well. */
  | {
      readonly kind: "hidden";
      readonly condition: Value;
      readonly when: boolean;
      readonly replacement: Value;
      readonly scores: readonly Dim[];
    };

export interface Scores {
  readonly query: Value;
  readonly key: Value;
  /** Whether the operand is [features, tokens]. */
  readonly queryTransposed: boolean;
  readonly keyTransposed: boolean;
  /** Leading axes of the product. */
  readonly batch: readonly Dim[];
  /** The third axis from the end where the scores have four. */
  readonly headed: Dim | undefined;
  /** score = cap(factor * product) + terms. */
  readonly factor: number;
  readonly softcap: number | undefined;
  readonly terms: readonly ScoreTerm[];
}

/** A product without bias and epilogue. */
export const isPlainProduct = (node: Node | undefined): node is Node =>
  node?.op === "leafcutter.MatMul" && node.inputs.length === 2 && node.attributes.epilogue === undefined;

const keepsMatrices = (from: Value, to: Value): boolean =>
  from.type.shape.length >= 2 && sameShape(from.type.shape.slice(-2), to.type.shape.slice(-2));

/** The Softmax over the last axis that gives `value`, when only `reader` uses the result; views of batches and NaN guards between them. */
export function softmaxBehind(value: Value, reader: Node, context: RewriteContext): Node | undefined {
  const producer = context.producer(value);
  const [first, second, third] = producer?.inputs ?? [];
  if (!producer || context.isOutput(value)) return undefined;
  const users = context.consumers(value).filter((consumer) => consumer !== reader && consumer.op !== "IsNaN");
  if (users.length > 0) return undefined;
  switch (producer.op) {
    case "Softmax": {
      const rank = value.type.shape.length;
      const axis = integerOf(producer, "axis", producer.version < 13 ? 1 : -1);
      return axis === -1 || axis === rank - 1 ? producer : undefined;
    }
    case "Reshape":
      return first && keepsMatrices(first, value) ? softmaxBehind(first, producer, context) : undefined;
    case "Where": {
      const guard = first && context.producer(first);
      const isGuard =
        guard?.op === "IsNaN" && guard.inputs[0] === third && context.isOnlyUse(guard.outputs[0] as Value, producer);
      return isGuard && third && scalarOf(second, context) === 0 ? softmaxBehind(third, producer, context) : undefined;
    }
    default:
      return undefined;
  }
}

const scalarOf = (value: Value | undefined, context: RewriteContext): number | undefined => {
  const tensor = value && context.constant(value);
  return tensor?.dtype === "float32" && tensor.data.length === 1 ? Number(tensor.data[0]) : undefined;
};

interface Descent {
  readonly factor: number;
  readonly softcap: number | undefined;
  readonly terms: readonly ScoreTerm[];
  /** Nothing further in may be added: a cap or a transposition lies outside. */
  readonly closed: boolean;
  readonly transposed: boolean;
  readonly headed: Dim | undefined;
}

export const matchScores = (softmax: Node, context: RewriteContext): Scores | undefined => {
  const scores = softmax.inputs[0];
  return (
    scores &&
    descend(
      scores,
      { factor: 1, softcap: undefined, terms: [], closed: false, transposed: false, headed: undefined },
      context,
    )
  );
};

function descend(value: Value, state: Descent, context: RewriteContext): Scores | undefined {
  const node = context.producer(value);
  const { shape } = value.type;
  const [first, second, third] = node?.inputs ?? [];
  if (!node || !first || shape.length < 2) return undefined;
  const headed = state.headed ?? (shape.length >= 4 && !state.transposed ? shape.at(-3) : undefined);
  const next: Descent = { ...state, headed };
  switch (node.op) {
    case "leafcutter.MatMul":
      return product(node, next);
    case "Mul":
      return factored(value, first, second, next, context) ?? factored(value, second, first, next, context);
    case "Add":
      return added(value, first, second, 1, next, context) ?? added(value, second, first, 1, next, context);
    case "Sub":
      return added(value, first, second, -1, next, context);
    case "Where":
      return (
        chosen(value, first, { scores: third, other: second, when: true }, next, context) ??
        chosen(value, first, { scores: second, other: third, when: false }, next, context)
      );
    case "Reshape":
      return keepsMatrices(first, value) ? descend(first, next, context) : undefined;
    case "Transpose": {
      const rank = shape.length;
      const swapsLast = permutationOf(node).every(
        (axis, index) => axis === (index < rank - 2 ? index : 2 * rank - 3 - index),
      );
      return swapsLast ? descend(first, { ...next, closed: true, transposed: !next.transposed }, context) : undefined;
    }
    default:
      return undefined;
  }
}

function product(node: Node, state: Descent): Scores | undefined {
  const [left, right] = node.inputs;
  const output = node.outputs[0];
  if (!left || !right || !output || !isPlainProduct(node)) return undefined;
  const rightTransposed = integerOf(node, "transposeB", 0) === 0;
  const { factor, softcap, terms, headed, transposed } = state;
  const operands = transposed
    ? { query: right, queryTransposed: rightTransposed, key: left, keyTransposed: false }
    : { query: left, queryTransposed: false, key: right, keyTransposed: rightTransposed };
  return { ...operands, batch: output.type.shape.slice(0, -2), headed, factor, softcap, terms };
}

/** A scalar factor, or a cap: cap * tanh(scores / cap). */
function factored(
  value: Value,
  scores: Value | undefined,
  scalar: Value | undefined,
  state: Descent,
  context: RewriteContext,
): Scores | undefined {
  const factor = scalarOf(scalar, context);
  if (!scores || factor === undefined || !sameShape(scores.type.shape, value.type.shape)) return undefined;
  const total = state.factor * factor;
  const producer = context.producer(scores);
  const capped = producer?.op === "Tanh" ? producer.inputs[0] : undefined;
  if (!capped) return descend(scores, { ...state, factor: total }, context);
  return state.softcap === undefined && total > 0
    ? descend(capped, { ...state, softcap: total, factor: total, closed: true }, context)
    : undefined;
}

function added(
  value: Value,
  scores: Value | undefined,
  term: Value | undefined,
  sign: number,
  state: Descent,
  context: RewriteContext,
): Scores | undefined {
  if (!scores || !term || state.closed || !sameShape(scores.type.shape, value.type.shape)) return undefined;
  const factor = state.factor * sign;
  const terms = isZero(term, context)
    ? state.terms
    : [...state.terms, { kind: "value", value: term, factor, scores: value.type.shape } as const];
  return descend(scores, { ...state, terms }, context);
}

/** Numbers so low that adding any score leaves them as they are, or nearly. */
const lowest = -1e9;
/** Numbers low enough that their exponential is 0 beside any score. */
const low = -1e3;

function chosen(
  value: Value,
  condition: Value,
  {
    scores,
    other,
    when,
  }: { readonly scores: Value | undefined; readonly other: Value | undefined; readonly when: boolean },
  state: Descent,
  context: RewriteContext,
): Scores | undefined {
  const replacement = scalarOf(other, context);
  if (!scores || !other || replacement === undefined || state.closed || state.factor <= 0) return undefined;
  if (!sameShape(scores.type.shape, value.type.shape)) return undefined;
  const constant = context.constant(condition);
  const hides = replacement <= lowest || (replacement <= low && constant !== undefined && leavesSome(constant, !when));
  const term: ScoreTerm = { kind: "hidden", condition, when, replacement: other, scores: value.type.shape };
  return hides ? descend(scores, { ...state, terms: [...state.terms, term] }, context) : undefined;
}

/** Whether every row of a constant condition has some element equal to `visible`. */
function leavesSome({ shape, data }: Tensor, visible: boolean): boolean {
  const length = shape.at(-1) ?? 1;
  const wanted = visible ? 1 : 0;
  const values = data as Uint8Array;
  for (let row = 0; row < values.length; row += length)
    if (!values.subarray(row, row + length).includes(wanted)) return false;
  return true;
}

/** Zeros, or a choice of them by a constant condition that is not folded because its result is larger. */
function isZero(value: Value, context: RewriteContext): boolean {
  const tensor = context.constant(value);
  if (tensor) return tensor.dtype === "float32" && (tensor.data as Float32Array).every((element) => element === 0);
  const node = context.producer(value);
  if (node?.op !== "Where") return false;
  const [condition, whenTrue, whenFalse] = node.inputs;
  const choice = condition && context.constant(condition)?.data;
  if (!choice) return false;
  const taken = (choice as Uint8Array).every((one) => one !== 0)
    ? whenTrue
    : (choice as Uint8Array).every((one) => one === 0)
      ? whenFalse
      : undefined;
  return taken !== undefined && isZero(taken, context);
}

/** The term as one value of float32, not yet multiplied. */
export function termValue(term: ScoreTerm, name: string, context: RewriteContext): Value {
  if (term.kind === "value") return term.value;
  const zero = context.addConstant(`${name}/zero`, { dtype: "float32", shape: [], data: new Float32Array(1) });
  const choice = term.when ? [term.replacement, zero] : [zero, term.replacement];
  return context.emit("Where", [term.condition, ...choice], {}, { name, version: 16 });
}
