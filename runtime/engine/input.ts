/**
 * What a caller passes for an input, checked against the ports of a program: names, element types, shapes.
 * Shapes bind the symbols of the program; every error names the input, what was expected and what was received.
 */
import { closest, LeafcutterError } from "../format/diagnostic.ts";
import type { DType } from "../format/dtype.ts";
import { type Extent, evaluateExtent, type SymbolBound } from "../format/extent.ts";
import type { PortDescription } from "../format/manifest.ts";
import { allocate, elementCount, type Tensor, type TensorArray } from "../format/tensor.ts";

/** A tensor, or its data alone: type and shape default to the port's where they leave no choice. */
export type TensorInput =
  | Tensor
  | { readonly data: TensorArray; readonly shape?: readonly number[]; readonly dtype?: DType };

export interface BoundInputs {
  /** In the order of the ports. */
  readonly tensors: readonly Tensor[];
  /** Value of every symbol of the program. */
  readonly bindings: ReadonlyMap<string, number>;
}

const tagOf = (array: TensorArray): string => array[Symbol.toStringTag];

/** "float32 [batch 1..4, 3, 224]" */
function describe(port: PortDescription, symbols: ReadonlyMap<string, SymbolBound>): string {
  const extent = (value: Extent): string => {
    if (typeof value === "number") return String(value);
    if (typeof value !== "string") return `(${extent(value[1])} ${value[0]} ${extent(value[2])})`;
    const bound = symbols.get(value);
    return bound === undefined ? value : `${value} ${bound.lower}..${bound.upper}`;
  };
  return `[${port.shape.map(extent).join(", ")}]`;
}

/** The value and array of one input, of the port's element type. */
function typedInput(port: PortDescription, input: TensorInput): TensorArray {
  const { data, dtype } = input;
  const wanted = tagOf(allocate(port.dtype, 0));
  const native = port.dtype === "float16" ? "Float16Array" : wanted;
  const tag = ArrayBuffer.isView(data) ? tagOf(data) : Array.isArray(data) ? "Array" : typeof data;
  if ((dtype !== undefined && dtype !== port.dtype) || (tag !== wanted && tag !== native)) {
    throw new LeafcutterError({
      code: "input-dtype",
      message: "the element type of the input is wrong",
      where: port.name,
      expected: `${port.dtype} in a ${wanted}`,
      received: dtype === undefined ? tag : `${dtype} in a ${tag}`,
    });
  }
  return data;
}

/** Throws when the port fixes its value and `data` is another one. */
function checkValue(port: PortDescription, data: TensorArray): void {
  const { value } = port;
  if (value === undefined || value.every((element, index) => Number(data[index]) === element)) return;
  throw new LeafcutterError({
    code: "input-value",
    message: "the package was compiled for one value of this input, because shapes depend on it",
    where: port.name,
    expected: `[${value.join(", ")}]`,
    received: `[${Array.from(data, String).join(", ")}]`,
    advice: "Compile the model again with another data set beside it, or with --value.",
  });
}

/** Binds the symbols of a program to the shapes of its inputs. */
class Unification {
  readonly bindings = new Map<string, number>();
  readonly #symbols: ReadonlyMap<string, SymbolBound>;

  constructor(symbols: readonly SymbolBound[], known: ReadonlyMap<string, number>) {
    this.#symbols = new Map(symbols.map((symbol) => [symbol.name, symbol]));
    for (const [name, value] of known) this.bindings.set(name, value);
    for (const { name, lower, upper } of symbols) if (lower === upper) this.bindings.set(name, lower);
  }

  /** Binds what `shape` says about the plain symbols of the port. */
  bind(port: PortDescription, shape: readonly number[]): void {
    if (shape.length !== port.shape.length) this.#mismatch(port, shape);
    for (const [axis, extent] of port.shape.entries()) {
      const value = shape[axis];
      if (typeof extent !== "string" || value === undefined) continue;
      const bound = this.#symbols.get(extent);
      const known = this.bindings.get(extent);
      const inside = bound !== undefined && Number.isInteger(value) && value >= bound.lower && value <= bound.upper;
      if (!inside || (known !== undefined && known !== value)) this.#mismatch(port, shape);
      this.bindings.set(extent, value);
    }
  }

  /** The shape of an input that came without one: by its length when at most one symbol is open. */
  infer(port: PortDescription, length: number): readonly number[] {
    const open = port.shape.filter((extent) => !this.#known(extent));
    if (open.length === 0) return this.shape(port);
    const [symbol] = open;
    if (open.length > 1 || typeof symbol !== "string") {
      throw new LeafcutterError({
        code: "input-shape",
        message: "the shape of the input cannot be told from its length",
        where: port.name,
        expected: describe(port, this.#symbols),
        received: `${length} elements`,
        advice: "Give the input a shape.",
      });
    }
    const rest = port.shape.filter((extent) => extent !== symbol);
    const product = elementCount(rest.map((extent) => evaluateExtent(extent, this.bindings)));
    const shape = port.shape.map((extent) =>
      extent === symbol ? length / product : evaluateExtent(extent, this.bindings),
    );
    this.bind(port, shape);
    return shape;
  }

  /** The port's shape under the bindings. */
  shape(port: PortDescription): readonly number[] {
    return port.shape.map((extent) => evaluateExtent(extent, this.bindings));
  }

  check(port: PortDescription, shape: readonly number[], length: number): void {
    const expected = this.shape(port);
    if (shape.length !== expected.length || expected.some((extent, axis) => extent !== shape[axis])) {
      this.#mismatch(port, shape);
    }
    if (length === elementCount(shape)) return;
    throw new LeafcutterError({
      code: "input-shape",
      message: "the array does not have as many elements as the shape says",
      where: port.name,
      expected: `${elementCount(shape)} elements for [${shape.join(", ")}]`,
      received: `${length} elements`,
    });
  }

  #known(extent: Extent): boolean {
    if (typeof extent === "number") return true;
    if (typeof extent === "string") return this.bindings.has(extent);
    return this.#known(extent[1]) && this.#known(extent[2]);
  }

  #mismatch(port: PortDescription, shape: readonly number[]): never {
    const bound = port.shape.flatMap((extent) => {
      const value = typeof extent === "string" ? this.bindings.get(extent) : undefined;
      return value === undefined ? [] : [`${String(extent)} = ${value}`];
    });
    throw new LeafcutterError({
      code: "input-shape",
      message: "the shape of the input is wrong",
      where: port.name,
      expected: `${describe(port, this.#symbols)}${bound.length === 0 ? "" : ` with ${bound.join(", ")}`}`,
      received: `[${shape.join(", ")}]`,
    });
  }
}

/**
 * Checks `inputs` against `ports` and binds the symbols that `known` does not. `states` are told apart in errors.
 * Throws LeafcutterError: input-unknown, input-missing, input-dtype, input-shape, input-value.
 */
export function bindInputs(
  ports: readonly PortDescription[],
  symbols: readonly SymbolBound[],
  inputs: Readonly<Record<string, TensorInput>>,
  known: ReadonlyMap<string, number> = new Map(),
  states: readonly { readonly name: string }[] = [],
): BoundInputs {
  const names = ports.map((port) => port.name);
  for (const name of Object.keys(inputs)) {
    if (names.includes(name)) continue;
    const near = closest(name, names);
    const advice = states.some((state) => state.name === name)
      ? "It is a state, which the session keeps: set it with reset()."
      : near && `Did you mean ${near}?`;
    throw new LeafcutterError({
      code: "input-unknown",
      message: "the model has no such input",
      where: name,
      expected: names.join(", "),
      ...(advice === undefined ? {} : { advice }),
    });
  }
  const given = ports.map((port) => {
    const input = Object.hasOwn(inputs, port.name) ? inputs[port.name] : undefined;
    if (input !== undefined) return { port, data: typedInput(port, input), shape: input.shape };
    throw new LeafcutterError({
      code: "input-missing",
      message: "an input of the model is missing",
      where: port.name,
      expected: names.join(", "),
      received: Object.keys(inputs).join(", ") || "no inputs",
    });
  });
  const unification = new Unification(symbols, known);
  for (const { port, shape } of given) if (shape !== undefined) unification.bind(port, shape);
  const shaped = given.map(({ port, data, shape }) => ({
    port,
    data,
    shape: shape ?? unification.infer(port, data.length),
  }));
  for (const { port, data, shape } of shaped) {
    unification.check(port, shape, data.length);
    checkValue(port, data);
  }
  return {
    tensors: shaped.map(({ port, data, shape }) => ({ dtype: port.dtype, shape, data })),
    bindings: unification.bindings,
  };
}
