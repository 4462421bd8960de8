/**
 * Reads the text of print.ts back into a graph. Types are taken from the text, not inferred, so that a parsed graph
 * is the printed one; graph/verify.ts can check it. Errors are model-invalid and name line and column.
 */
import { closest, LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { type DType, dtypes } from "../../runtime/format/dtype.ts";
import type { BinaryOperation, Expression, UnaryOperation } from "../../runtime/format/expression.ts";
import { elementCount, type Tensor, tensorOf, viewOf } from "../../runtime/format/tensor.ts";
import type { Dim } from "./dimension.ts";
import type { Attribute, Graph, Node, Storage, TensorType, Value } from "./graph.ts";

export const parseGraph = (text: string): Graph => new Parser(text).graph();

const tokenPattern =
  /\s*(?:(\n)|("(?:[^"\\]|\\.)*")|(-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity|NaN)(?![\w/]))|(\$\d+)|(\.\.)|([A-Za-z_](?:[\w./-]|:(?=[\w./]))*)|([^\s]))/y;

interface Token {
  readonly kind: "text" | "number" | "input" | "word" | "mark";
  readonly text: string;
  readonly offset: number;
}

const kinds = ["newline", "text", "number", "input", "mark", "word", "mark"] as const;

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(tokenPattern);
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) break;
    const group = match.findIndex((part, index) => index > 0 && part !== undefined);
    const kind = kinds[group - 1];
    const part = match[group] as string;
    if (kind && kind !== "newline") tokens.push({ kind, text: part, offset: start + match[0].length - part.length });
  }
  return tokens;
}

const unaryOperations: ReadonlySet<string> = new Set<UnaryOperation>([
  "negate",
  "abs",
  "sign",
  "reciprocal",
  "sqrt",
  "exp",
  "log",
  "floor",
  "ceil",
  "round",
  "truncate",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "sigmoid",
  "softplus",
  "not",
  "bitNot",
  "isNaN",
  "isPositiveInfinity",
  "isNegativeInfinity",
]);

const binaryOperations: ReadonlySet<string> = new Set<BinaryOperation>([
  "add",
  "subtract",
  "multiply",
  "divide",
  "modulo",
  "remainder",
  "minimum",
  "maximum",
  "power",
  "equal",
  "less",
  "lessOrEqual",
  "greater",
  "greaterOrEqual",
  "and",
  "or",
  "xor",
  "bitAnd",
  "bitOr",
  "bitXor",
  "shiftLeft",
  "shiftRight",
]);

const blockSizes = [16, 32, 64, 128] as const;
const isUnary = (word: string): word is UnaryOperation => unaryOperations.has(word);
const isBinary = (word: string): word is BinaryOperation => binaryOperations.has(word);
const isDType = (word: string): word is DType => (dtypes as readonly string[]).includes(word);

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #values = new Map<string, Value>();
  #position = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  graph(): Graph {
    this.#expect("graph");
    const name = this.#name();
    const symbols = new Map<string, { readonly name: string; readonly lower: number; readonly upper: number }>();
    const inputs: Value[] = [];
    const constants = new Map<Value, Tensor>();
    const nodes: Node[] = [];
    const outputs: { readonly name: string; readonly value: Value }[] = [];
    while (this.#peek()) {
      if (this.#accept("symbol")) {
        const symbol = this.#name();
        const lower = this.#number();
        this.#expect("..");
        symbols.set(symbol, { name: symbol, lower, upper: this.#number() });
      } else if (this.#accept("input")) inputs.push(this.#declaration());
      else if (this.#accept("constant")) {
        const value = this.#declaration();
        this.#expect("=");
        constants.set(value, this.#tensorData(value.type.dtype, value.type.shape as readonly number[]));
      } else if (this.#accept("output")) {
        const output = this.#name();
        this.#expect("=");
        outputs.push({ name: output, value: this.#reference() });
      } else nodes.push(this.#node());
    }
    return { name, symbols, inputs, outputs, constants, nodes };
  }

  #node(): Node {
    const outputs = this.#list(() => this.#type(), "=");
    const op = this.#name();
    this.#expect("@");
    const version = this.#number();
    this.#expect("(");
    const inputs = this.#items(")", () => (this.#accept("none") ? undefined : this.#reference()));
    const attributes: Record<string, Attribute> = {};
    if (this.#accept("{"))
      this.#items("}", () => {
        const name = this.#name();
        this.#expect(":");
        attributes[name] = this.#attribute();
      });
    const sources: string[] = [];
    if (this.#accept("from"))
      do sources.push(this.#name());
      while (this.#accept(","));
    this.#expect("#");
    const name = this.#name();
    // Declared only now: a node does not read its own outputs.
    return {
      op,
      version,
      name,
      sources,
      inputs,
      outputs: outputs.map(([output, type]) => this.#declare(output, type)),
      attributes,
    };
  }

  /** `name: type, name: type end` */
  #list(read: () => TensorType, end: string): readonly (readonly [string, TensorType])[] {
    const list: (readonly [string, TensorType])[] = [];
    do {
      const name = this.#name();
      this.#expect(":");
      list.push([name, read()]);
    } while (this.#accept(","));
    this.#expect(end);
    return list;
  }

  #declaration(): Value {
    const name = this.#name();
    this.#expect(":");
    return this.#declare(name, this.#type());
  }

  #declare(name: string, type: TensorType): Value {
    if (this.#values.has(name)) this.#fail(`a value that is not ${name} again`);
    const value: Value = { name, type };
    this.#values.set(name, value);
    return value;
  }

  #reference(): Value {
    const name = this.#name();
    const value = this.#values.get(name);
    if (value) return value;
    this.#position--;
    const nearest = closest(name, [...this.#values.keys()]);
    return this.#fail(nearest ? `a value of an earlier line, such as ${nearest}` : "a value of an earlier line");
  }

  #type(): TensorType {
    const dtype = this.#dtype();
    this.#expect("[");
    const shape = this.#items("]", () => this.#dim());
    if (!this.#accept("as")) return { dtype, shape };
    return { dtype, shape, storage: this.#storage() };
  }

  #storage(): Storage {
    if (this.#accept("float16")) return { kind: "float16" };
    const block = this.#accept("int4") ? "int4" : this.#accept("nf4") ? "nf4" : undefined;
    if (!block) this.#expect("int8");
    this.#expect("axis");
    const axis = this.#number();
    if (!block) return { kind: "int8", axis, scales: this.#scales() };
    this.#expect("blocks");
    const blockSize = blockSizes.find((size) => this.#accept(String(size))) ?? this.#fail(blockSizes.join(", "));
    const wide = this.#accept("float32");
    const scales = this.#scales();
    const zeros = this.#accept("zeros") ? this.#base64() : undefined;
    return {
      kind: block,
      axis,
      blockSize,
      scales,
      ...(wide ? { scaleType: "float32" } : {}),
      ...(zeros ? { zeros } : {}),
    };
  }

  #scales(): Float32Array {
    this.#expect("scales");
    const bytes = this.#base64();
    return viewOf("float32", bytes.buffer, 0, bytes.byteLength / 4);
  }

  #dtype(): DType {
    const word = this.#next();
    if (isDType(word.text)) return word.text;
    this.#position--;
    return this.#fail("an element type");
  }

  #dim(): Dim {
    if (this.#accept("(")) {
      const operation = this.#next().text;
      if (
        operation !== "+" &&
        operation !== "*" &&
        operation !== "/" &&
        operation !== "%" &&
        operation !== "min" &&
        operation !== "max"
      ) {
        this.#position--;
        return this.#fail("+, *, /, %, min or max");
      }
      const dim: Dim = [operation, this.#dim(), this.#dim()];
      this.#expect(")");
      return dim;
    }
    return this.#peek()?.kind === "number" ? this.#number() : this.#name();
  }

  #attribute(): Attribute {
    const token = this.#peek();
    if (token?.kind === "number") return { kind: "integer", value: this.#number() };
    if (token?.kind === "text") return { kind: "string", value: this.#name() };
    if (this.#accept("[")) return { kind: "integers", value: this.#items("]", () => this.#number()) };
    const kind = this.#next().text;
    switch (kind) {
      case "float":
        return { kind, value: this.#number() };
      case "floats":
        this.#expect("[");
        return { kind, value: this.#items("]", () => this.#number()) };
      case "strings":
        this.#expect("[");
        return { kind, value: this.#items("]", () => this.#name()) };
      case "dims":
        this.#expect("[");
        return { kind, value: this.#items("]", () => this.#dim()) };
      case "tensor": {
        const { dtype, shape } = this.#type();
        return { kind, value: this.#tensorData(dtype, shape as readonly number[]) };
      }
      case "expression":
        return { kind, value: this.#expression() };
      case "subgraph":
        return { kind: "graph", value: parseGraph(this.#name()) };
      default:
        this.#position--;
        return this.#fail("an attribute");
    }
  }

  #tensorData(dtype: DType, shape: readonly number[]): Tensor {
    if (this.#accept("["))
      return tensorOf(
        dtype,
        shape,
        this.#items("]", () => this.#tensorNumber()),
      );
    this.#expect("base64");
    const bytes = this.#base64();
    return { dtype, shape, data: viewOf(dtype, bytes.buffer, 0, elementCount(shape)) };
  }

  /** 64-bit integers keep all their digits. */
  #tensorNumber(): number | bigint {
    const { text } = this.#peek() ?? { text: "" };
    const value = this.#number();
    return Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(text) ? BigInt(text) : value;
  }

  #base64(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(atob(this.#name()), (character) => character.charCodeAt(0));
  }

  #expression(): Expression {
    const token = this.#next();
    if (token.kind === "input") return { kind: "input", index: Number(token.text.slice(1)) };
    if (token.kind === "number")
      return { kind: "constant", value: Number(token.text), dtype: this.#accept(":") ? this.#dtype() : "float32" };
    if (token.text !== "(") {
      this.#position--;
      return this.#fail("an expression");
    }
    const expression = this.#operation(this.#next().text);
    this.#expect(")");
    return expression;
  }

  #operation(word: string): Expression {
    if (isUnary(word)) return { kind: "unary", operation: word, value: this.#expression() };
    if (isBinary(word)) return { kind: "binary", operation: word, left: this.#expression(), right: this.#expression() };
    switch (word) {
      case "axis":
        return { kind: "axis", axis: this.#number() };
      case "parameter":
        return { kind: "parameter", index: this.#number() };
      case "select":
        return {
          kind: "select",
          condition: this.#expression(),
          whenTrue: this.#expression(),
          whenFalse: this.#expression(),
        };
      case "cast":
        return { kind: "cast", dtype: this.#dtype(), value: this.#expression() };
      case "load": {
        const operand = this.#number();
        const at: Expression[] = [];
        while (this.#peek()?.text !== ")") at.push(this.#expression());
        return { kind: "load", operand, at };
      }
      default:
        this.#position--;
        return this.#fail("an operation");
    }
  }

  /** Items between commas up to `end`, which is consumed. */
  #items<T>(end: string, read: () => T): readonly T[] {
    const items: T[] = [];
    if (this.#accept(end)) return items;
    do items.push(read());
    while (this.#accept(","));
    this.#expect(end);
    return items;
  }

  #name(): string {
    const token = this.#next();
    if (token.kind === "text") return JSON.parse(token.text) as string;
    if (token.kind === "word") return token.text;
    this.#position--;
    return this.#fail("a name");
  }

  #number(): number {
    const token = this.#next();
    if (token.kind === "number") return Number(token.text);
    this.#position--;
    return this.#fail("a number");
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#position];
  }

  #next(): Token {
    const token = this.#tokens[this.#position];
    if (!token) return this.#fail("more text");
    this.#position++;
    return token;
  }

  #accept(text: string): boolean {
    const token = this.#peek();
    if (!token || token.kind === "text" || token.text !== text) return false;
    this.#position++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail(text);
  }

  #fail(expected: string): never {
    const token = this.#peek();
    const before = this.#text.slice(0, token?.offset ?? this.#text.length).split("\n");
    throw new LeafcutterError({
      code: "model-invalid",
      where: `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`,
      message: "the text is not a graph",
      expected,
      received: token?.text ?? "the end",
    });
  }
}
