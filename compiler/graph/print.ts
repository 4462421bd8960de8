/**
 * A graph as text, one line a value or node, that parse.ts reads back exactly:
 *
 *   graph "name"
 *   symbol batch 1..4
 *   input x: float32[batch, 3]
 *   constant w: float32[3] = [1, 2, -0.5]
 *   y: float32[batch, 3] = Mul@14(x, w) {axis: 1} from "a", "b" # "node name"
 *   output "result" = y
 *
 * Names that are not plain words stand in quotes, as JSON strings. A constant of more than `inlineElements` elements
 * stands as base64 of its little-endian bytes, or as a digest when `digests` is set (for people and golden tests:
 * parse.ts refuses it).
 */
import type { Expression } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Dim } from "./dimension.ts";
import type { Attribute, Graph, Node, TensorType, Value } from "./graph.ts";

export interface PrintOptions {
  /** Large constants as a short digest of their bytes instead of the bytes. */
  readonly digests?: boolean;
}

const inlineElements = 16;

export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  const lines = [`graph ${JSON.stringify(graph.name)}`];
  for (const { name, lower, upper } of graph.symbols.values())
    lines.push(`symbol ${printName(name)} ${lower}..${upper}`);
  for (const input of graph.inputs) lines.push(`input ${printValue(input)}`);
  for (const [value, tensor] of graph.constants)
    lines.push(`constant ${printValue(value)} = ${printTensorData(tensor, options)}`);
  for (const node of graph.nodes) lines.push(printNode(node, options));
  for (const { name, value } of graph.outputs) lines.push(`output ${JSON.stringify(name)} = ${printName(value.name)}`);
  return `${lines.join("\n")}\n`;
}

/** As the tokens of parse.ts. */
const words = /^[A-Za-z_](?:[\w./-]|:(?=[\w./]))*$/;
const reserved: ReadonlySet<string> = new Set([
  "graph",
  "symbol",
  "input",
  "constant",
  "output",
  "from",
  "none",
  "as",
  "NaN",
  "Infinity",
]);

/** A name as it is, or quoted when it could be read as something else. */
export const printName = (name: string): string =>
  words.test(name) && !reserved.has(name) ? name : JSON.stringify(name);

const printValue = (value: Value): string => `${printName(value.name)}: ${printType(value.type)}`;

export function printType({ dtype, shape, storage }: TensorType): string {
  const type = `${dtype}[${shape.map(printDim).join(", ")}]`;
  if (!storage) return type;
  if (storage.kind === "float16") return `${type} as float16`;
  const { kind, axis } = storage;
  const scales = `scales ${base64Of(storage.scales)}`;
  if (kind === "int8") return `${type} as int8 axis ${axis} ${scales}`;
  const { blockSize, scaleType, zeros } = storage;
  const words = [kind, "axis", axis, "blocks", blockSize, ...(scaleType ? [scaleType] : []), scales];
  return `${type} as ${[...words, ...(zeros ? ["zeros", base64Of(zeros)] : [])].join(" ")}`;
}

/** Prefix form with brackets: `batch`, `(+ (* batch 4) 1)`. */
export function printDim(dim: Dim): string {
  if (typeof dim === "number") return String(dim);
  return typeof dim === "string" ? printName(dim) : `(${dim[0]} ${printDim(dim[1])} ${printDim(dim[2])})`;
}

function printNode(node: Node, options: PrintOptions): string {
  const outputs = node.outputs.map(printValue).join(", ");
  const inputs = node.inputs.map((value) => (value ? printName(value.name) : "none")).join(", ");
  const attributes = Object.keys(node.attributes)
    .sort()
    .map((name) => `${printName(name)}: ${printAttribute(node.attributes[name] as Attribute, options)}`);
  const braces = attributes.length > 0 ? ` {${attributes.join(", ")}}` : "";
  const sources =
    node.sources.length > 0 ? ` from ${node.sources.map((source) => JSON.stringify(source)).join(", ")}` : "";
  return `${outputs} = ${printName(node.op)}@${node.version}(${inputs})${braces}${sources} # ${JSON.stringify(node.name)}`;
}

/** Integers stand as they are; other kinds say what they are. */
function printAttribute(attribute: Attribute, options: PrintOptions): string {
  switch (attribute.kind) {
    case "integer":
      return printNumber(attribute.value);
    case "float":
      return `float ${printNumber(attribute.value)}`;
    case "string":
      return JSON.stringify(attribute.value);
    case "integers":
      return `[${attribute.value.map(printNumber).join(", ")}]`;
    case "floats":
      return `floats [${attribute.value.map(printNumber).join(", ")}]`;
    case "strings":
      return `strings [${attribute.value.map((text) => JSON.stringify(text)).join(", ")}]`;
    case "dims":
      return `dims [${attribute.value.map(printDim).join(", ")}]`;
    case "tensor":
      return `tensor ${attribute.value.dtype}[${attribute.value.shape.join(", ")}] ${printTensorData(attribute.value, options)}`;
    case "expression":
      return `expression ${printExpression(attribute.value)}`;
    case "graph":
      return `subgraph ${JSON.stringify(printGraph(attribute.value, options))}`;
  }
}

const printNumber = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));

/** Prefix form: `(add $0 (sigmoid $0))`; `$i` is input i, `2:int32` a constant (float32 without its type). */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case "input":
      return `$${expression.index}`;
    case "axis":
      return `(axis ${expression.axis})`;
    case "parameter":
      return `(parameter ${expression.index})`;
    case "constant":
      return expression.dtype === "float32"
        ? printNumber(expression.value)
        : `${printNumber(expression.value)}:${expression.dtype}`;
    case "load":
      return `(load ${[String(expression.operand), ...expression.at.map(printExpression)].join(" ")})`;
    case "unary":
      return `(${expression.operation} ${printExpression(expression.value)})`;
    case "binary":
      return `(${expression.operation} ${printExpression(expression.left)} ${printExpression(expression.right)})`;
    case "select":
      return `(select ${printExpression(expression.condition)} ${printExpression(expression.whenTrue)} ${printExpression(expression.whenFalse)})`;
    case "cast":
      return `(cast ${expression.dtype} ${printExpression(expression.value)})`;
  }
}

function printTensorData(tensor: Tensor, options: PrintOptions): string {
  if (tensor.data.length <= inlineElements && !hasUnprintableNaN(tensor))
    return `[${Array.from(tensor.data as ArrayLike<number | bigint>, (value) => (typeof value === "bigint" ? String(value) : printNumber(value))).join(", ")}]`;
  return options.digests ? `digest ${digestOf(tensor)}` : `base64 ${base64Of(tensor.data)}`;
}

/** NaN has many bit patterns: text knows only one. */
const hasUnprintableNaN = ({ data }: Tensor): boolean =>
  (data instanceof Float32Array || data instanceof Float64Array) && data.some(Number.isNaN);

const bytesOf = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function base64Of(data: ArrayBufferView): string {
  let text = "";
  for (const byte of bytesOf(data)) text += String.fromCharCode(byte);
  return `"${btoa(text)}"`;
}

/** FNV-1a of the bytes, in hexadecimal. */
function digestOf(tensor: Tensor): string {
  let hash = 0x811c9dc5;
  for (const byte of bytesOf(tensor.data)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
