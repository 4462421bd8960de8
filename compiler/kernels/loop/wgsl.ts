/** WGSL of a loop kernel: one invocation per point of the parallel axes, reductions as loops inside it. */
import { byteSize, type DType } from "../../../runtime/format/dtype.ts";
import { type BinaryOperation, type Expression, expressionType } from "../../../runtime/format/expression.ts";
import type { WgslKernel } from "../contract.ts";
import { emitWgslExpression, hasWgsl } from "../expression/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { floatLiteral, loadElement, storeElement, wgslType } from "../wgsl/element.ts";
import { bodyTypes, finishTypes, type LoopShape, type ShapeOperand } from "./shape.ts";

type Leaf = Extract<Expression, { kind: "input" | "load" | "axis" | "parameter" }>;

/** The kernel, or undefined: computed outputs (later iterations win), arithmetic of float64. */
export function loopWgsl(shape: LoopShape): WgslKernel | undefined {
  if (shape.computed || !hasWgsl(shape.body, bodyTypes(shape))) return undefined;
  if (shape.finish && !hasWgsl(shape.finish, finishTypes(shape))) return undefined;
  const reduced = expressionType(shape.body, bodyTypes(shape));
  if (shape.reductions > 0 && (reduced === "float64" || reduced === "bool")) return undefined;
  return new LoopWriter(shape).write();
}

class LoopWriter {
  readonly #shape: LoopShape;
  readonly #body = new WgslBody();
  readonly #walks: readonly ShapeOperand[];
  /** Words of the strides that are arguments: [walk][axis or coordinate]. */
  readonly #strideWords: readonly ReadonlyMap<number, number>[];
  readonly #parameterWord: number;
  /** Index of each axis that has been entered. */
  readonly #indices: Wgsl[] = [];

  constructor(shape: LoopShape) {
    this.#shape = shape;
    this.#walks = [shape.output, ...shape.operands];
    let word = this.#walks.length + shape.axes;
    this.#strideWords = this.#walks.map(
      (walk) =>
        new Map(
          (walk.coordinates ?? walk.strides).flatMap((strideClass, axis) =>
            strideClass === "any" ? [[axis, word++] as const] : [],
          ),
        ),
    );
    this.#parameterWord = word;
  }

  write(): WgslKernel {
    const { axes, reductions, finish, output, body: expression } = this.#shape;
    const body = this.#body;
    const parallel = axes - reductions;
    const extents = Array.from({ length: parallel }, (_, axis) => this.#extent(axis));
    this.#indices.push(...body.coordinates("index", extents));
    let value = reductions > 0 ? this.#reduction() : this.#value(expression, bodyTypes(this.#shape));
    if (finish) value = this.#value(finish, finishTypes(this.#shape), value);
    storeElement(body, output.dtype, this.#address(0), value);
    return body.end();
  }

  #extent(axis: number): Wgsl {
    return this.#body.word(this.#walks.length + axis);
  }

  #reduction(): Wgsl {
    const { body: expression, combine = "add" } = this.#shape;
    const types = bodyTypes(this.#shape);
    const dtype = expressionType(expression, types);
    const accumulator = this.#body.variable(identityOf(this.#body, combine, dtype));
    const enter = (axis: number): void => {
      if (axis === this.#shape.axes) {
        const term = this.#value(expression, types);
        this.#body.statement(`${accumulator} = ${combined(this.#body, combine, dtype, accumulator, term)};`);
        return;
      }
      this.#body.loop(this.#extent(axis), (index) => {
        this.#indices.push(index);
        enter(axis + 1);
        this.#indices.pop();
      });
    };
    enter(this.#shape.axes - this.#shape.reductions);
    return accumulator;
  }

  /** `reduced` is operand 0 of a finishing expression. */
  #value(expression: Expression, operands: readonly DType[], reduced?: Wgsl): Wgsl {
    const shift = reduced === undefined ? 0 : 1;
    return emitWgslExpression(
      {
        body: this.#body,
        operands,
        leaf: (leaf, visit) => {
          if (reduced !== undefined && leaf.kind === "input" && leaf.index === 0) return reduced;
          return this.#leaf(leaf, shift, visit);
        },
      },
      expression,
      reduced === undefined ? "" : "finish ",
    );
  }

  #leaf(leaf: Leaf, shift: number, visit: (expression: Expression) => Wgsl): Wgsl {
    switch (leaf.kind) {
      case "axis":
        return `i32(${this.#indices[leaf.axis] ?? "0u"})`;
      case "parameter":
        return `i32(${this.#body.word(this.#parameterWord + leaf.index)})`;
      case "input": {
        const walk = leaf.index - shift + 1;
        return loadElement(this.#body, (this.#walks[walk] as ShapeOperand).dtype, this.#address(walk));
      }
      case "load": {
        const walk = leaf.operand + 1;
        const at = leaf.at.map((coordinate) => `u32(${visit(coordinate)})`);
        return loadElement(this.#body, (this.#walks[walk] as ShapeOperand).dtype, this.#step(walk, at));
      }
    }
  }

  /** Byte address of an affine operand at the current point; axes that have not been entered are at 0. */
  #address(walk: number): Wgsl {
    return this.#step(walk, this.#indices);
  }

  #step(walk: number, at: readonly Wgsl[]): Wgsl {
    const operand = this.#walks[walk] as ShapeOperand;
    const terms = at.flatMap((index, axis) => {
      switch ((operand.coordinates ?? operand.strides)[axis]) {
        case "unit":
          return [`${index} * ${byteSize[operand.dtype]}u`];
        case "any":
          return [`${index} * ${this.#body.word(this.#strideWords[walk]?.get(axis) ?? 0)}`];
        default:
          return [];
      }
    });
    return this.#body.let([this.#body.word(walk), ...terms].join(" + "));
  }
}

type Combine = NonNullable<LoopShape["combine"]>;

function combined(body: WgslBody, combine: Combine, dtype: DType, left: Wgsl, right: Wgsl): Wgsl {
  const operation: BinaryOperation = combine;
  const pair: Expression = {
    kind: "binary",
    operation,
    left: { kind: "input", index: 0 },
    right: { kind: "input", index: 1 },
  };
  const leaf = (node: Leaf): Wgsl => (node.kind === "input" && node.index === 1 ? right : left);
  return emitWgslExpression({ body, operands: [dtype, dtype], leaf }, pair, "combine ");
}

function identityOf(body: WgslBody, combine: Combine, dtype: DType): Wgsl {
  const type = wgslType(dtype);
  switch (combine) {
    case "add":
      return `${type}()`;
    case "multiply":
      return type === "vec2u" ? "vec2u(1u, 0u)" : `${type}(1)`;
    case "maximum":
      return extremeOf(body, dtype, true);
    case "minimum":
      return extremeOf(body, dtype, false);
  }
}

/** The least value of a type, or the greatest. */
function extremeOf(body: WgslBody, dtype: DType, least: boolean): Wgsl {
  const span = 8 * byteSize[dtype];
  switch (wgslType(dtype)) {
    case "f32":
      return floatLiteral(body, least ? -Infinity : Infinity);
    case "i32":
      return `i32(${least ? -(2 ** (span - 1)) : 2 ** (span - 1) - 1})`;
    case "u32":
      return least ? "0u" : `${2 ** span - 1}u`;
    case "vec2u":
      if (dtype === "uint64") return least ? "vec2u()" : "vec2u(0xffffffffu)";
      return least ? "vec2u(0u, 0x80000000u)" : "vec2u(0xffffffffu, 0x7fffffffu)";
    case "bool":
      return String(!least);
  }
}
