/** WebAssembly of a loop kernel: nested loops over pointers, the innermost parallel axis four elements at a time where it can be. */
import { byteSize, type DType } from "../../../runtime/format/dtype.ts";
import { type Expression, expressionType } from "../../../runtime/format/expression.ts";
import { recordHeaderWords } from "../../../runtime/format/program.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local, ValueType } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i32x4 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import { emitScalar, scalarType } from "../expression/scalar.ts";
import { emitVector } from "../expression/vector.ts";
import { emitRowCopy } from "./copy.ts";
import { identityOf, loadScalar, loadVector, splatOf, storeScalar, storeVector } from "./element.ts";
import {
  bodyTypes,
  canVectorise,
  contiguousLoad,
  copiesRows,
  finishTypes,
  isUniform,
  type LoopShape,
  type ShapeOperand,
  vectorAxisOf,
} from "./shape.ts";
import { runsBySixteen, SixteenReader, storeSixteen } from "./sixteen.ts";

type Scalar = Code<ValueType>;
type Address = Code<"i32">;
type Leaf = Extract<Expression, { kind: "input" | "load" | "axis" | "parameter" }>;

/** Which four of sixteen elements an expression is emitted for. */
interface PartOfSixteen {
  readonly reader: SixteenReader;
  readonly part: number;
}

/** Pointers of the output (first) and of every operand at the current point; index variables of the axes around it. */
interface Point {
  readonly pointers: readonly Address[];
  readonly indices: ReadonlyMap<number, Local<"i32">>;
}

export function emitLoop(context: WasmKernelContext, shape: LoopShape): FunctionReference {
  return context.module.function(
    `loop_${context.module.functionCount}`,
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => new LoopEmitter(context, shape, body, record).emit(begin, end),
  );
}

class LoopEmitter {
  readonly #context: WasmKernelContext;
  readonly #shape: LoopShape;
  readonly #body: BodyBuilder;
  readonly #record: Local<"i32">;
  readonly #walks: readonly ShapeOperand[];
  readonly #strideWords: readonly ReadonlyMap<number, number>[];
  readonly #parameterWord: number;
  readonly #vectorAxis: number;

  constructor(context: WasmKernelContext, shape: LoopShape, body: BodyBuilder, record: Local<"i32">) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#record = record;
    this.#walks = [shape.output, ...shape.operands];
    this.#vectorAxis = vectorAxisOf(shape);
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

  emit(begin: Address, end: Address): void {
    const pointers = this.#walks.map((_, index) => this.#body.local("i32", this.#word(index)));
    this.#level(0, { pointers, indices: new Map() }, begin, end);
  }

  #word(index: number): Address {
    return i32.load(this.#record, { offset: (recordHeaderWords + index) * 4 });
  }

  #stride(walk: number, axis: number): Address {
    const operand = this.#walks[walk] as ShapeOperand;
    const strideClass = (operand.coordinates ?? operand.strides)[axis];
    if (strideClass === "any") return this.#word(this.#strideWords[walk]?.get(axis) ?? 0);
    return i32.const(strideClass === "unit" ? byteSize[operand.dtype] : 0);
  }

  /** Loops over `axis` from begin to end (its whole extent further in), with pointers at its first iteration. */
  #level(axis: number, outer: Point, begin: Address, end: Address): void {
    const body = this.#body;
    body.scope(() => {
      const moving = this.#walks.map((walk) => walk.coordinates === undefined && walk.strides[axis] !== "zero");
      const strides = this.#walks.map((_, walk) => {
        const stride = this.#stride(walk, axis);
        return moving[walk] && stride.constant === undefined ? body.local("i32", stride) : stride;
      });
      const pointers = outer.pointers.map((pointer, walk) =>
        moving[walk] ? body.local("i32", i32.add(pointer, i32.mul(begin, strides[walk] as Address))) : pointer,
      );
      const advance = (count: number): void => {
        pointers.forEach((pointer, walk) => {
          if (moving[walk])
            body.set(pointer as Local<"i32">, i32.add(pointer, i32.mul(strides[walk] as Address, count)));
        });
      };
      if (axis !== this.#vectorAxis) {
        body.forRange(begin, end, 1, (index) => {
          this.#level(
            axis + 1,
            { pointers, indices: new Map(outer.indices).set(axis, index) },
            i32.const(0),
            this.#word(this.#walks.length + axis + 1),
          );
          advance(1);
        });
        return;
      }
      if (copiesRows(this.#shape)) {
        const size = byteSize[this.#shape.output.dtype];
        const bytes = body.local("i32", i32.mul(i32.sub(end, begin), size));
        emitRowCopy(body, size, pointers[0] as Address, pointers[1] as Address, bytes);
        return;
      }
      const index = body.local("i32", begin);
      const limit = body.local("i32", end);
      const point: Point = { pointers, indices: new Map(outer.indices).set(axis, index) };
      if (canVectorise(this.#shape)) {
        const hoisted = this.#shape.reductions === 0 ? this.#hoist(point) : new Map<string, Code<ValueType>>();
        if (runsBySixteen(this.#shape)) {
          this.#while(index, body.local("i32", i32.sub(limit, 15)), 16, () => {
            this.#pointSixteen(point, hoisted);
            advance(16);
          });
        }
        const vectorEnd = body.local("i32", i32.sub(limit, 3));
        this.#while(index, vectorEnd, 4, () => {
          this.#pointVector(point, hoisted);
          advance(4);
        });
      }
      this.#while(index, limit, 1, () => {
        this.#pointScalar(point);
        advance(1);
      });
    });
  }

  /** `index` runs up to `limit` by `step`. */
  #while(index: Local<"i32">, limit: Local<"i32">, step: number, statements: () => void): void {
    const body = this.#body;
    body.if(i32.ltS(index, limit), () => {
      body.loop((again) => {
        body.scope(statements);
        body.set(index, i32.add(index, step));
        body.branchIf(again, i32.ltS(index, limit));
      });
    });
  }

  // Reductions: loops over the reduced axes around `term`, which accumulates.
  #reduce(axis: number, point: Point, term: (point: Point) => void): void {
    if (axis === this.#shape.axes) {
      this.#body.scope(() => term(point));
      return;
    }
    const body = this.#body;
    body.scope(() => {
      const moving = this.#walks.map(
        (walk, index) => index > 0 && walk.coordinates === undefined && walk.strides[axis] !== "zero",
      );
      const pointers = point.pointers.map((pointer, walk) => (moving[walk] ? body.local("i32", pointer) : pointer));
      body.forRange(0, this.#word(this.#walks.length + axis), 1, (index) => {
        this.#reduce(axis + 1, { pointers, indices: new Map(point.indices).set(axis, index) }, term);
        pointers.forEach((pointer, walk) => {
          if (moving[walk]) body.set(pointer as Local<"i32">, i32.add(pointer, this.#stride(walk, axis)));
        });
      });
    });
  }

  #pointScalar(point: Point): void {
    const { body: expression, reductions, finish, computed, output } = this.#shape;
    const types = bodyTypes(this.#shape);
    let value: Scalar;
    let dtype = expressionType(expression, types);
    if (reductions === 0) value = this.#scalar(expression, types, point);
    else {
      const accumulator = this.#body.local(scalarType(dtype), identityOf(this.#shape.combine, dtype) as never);
      this.#reduce(this.#vectorAxis + 1, point, (inner) => {
        const term = this.#scalar(expression, types, inner);
        this.#body.set(accumulator, this.#combine(dtype, accumulator, term) as never);
      });
      value = accumulator;
    }
    if (finish) {
      const all = finishTypes(this.#shape);
      const reduced = this.#body.local(value.type, value as never);
      value = this.#scalar(finish, all, point, reduced);
      dtype = expressionType(finish, all);
    }
    const address = computed ? this.#coordinatesAddress(0, computed, point) : (point.pointers[0] as Address);
    storeScalar(this.#body, this.#context.math, output.dtype, address, value);
  }

  #combine(dtype: DType, left: Scalar, right: Scalar): Scalar {
    const operation = this.#shape.combine ?? "add";
    const pair: Expression = {
      kind: "binary",
      operation,
      left: { kind: "input", index: 0 },
      right: { kind: "input", index: 1 },
    };
    return emitScalar(
      {
        body: this.#body,
        math: this.#context.math,
        operands: [dtype, dtype],
        leaf: (leaf) => (leaf.kind === "input" && leaf.index === 1 ? right : left),
      },
      pair,
    );
  }

  /** `reduced` is operand 0 of a finishing expression, which the operands stand behind. */
  #scalar(
    expression: Expression,
    types: readonly DType[],
    point: Point,
    reduced?: Scalar,
    shift = reduced ? 1 : 0,
  ): Scalar {
    return emitScalar(
      {
        body: this.#body,
        math: this.#context.math,
        operands: types,
        leaf: (leaf, visit) => {
          if (reduced && leaf.kind === "input" && leaf.index === 0) return reduced;
          return this.#scalarLeaf(leaf, shift, point, visit);
        },
      },
      expression,
    );
  }

  #scalarLeaf(leaf: Leaf, shift: number, point: Point, visit: (expression: Expression) => Scalar): Scalar {
    switch (leaf.kind) {
      case "axis":
        return point.indices.get(leaf.axis) ?? i32.const(0);
      case "parameter":
        return this.#word(this.#parameterWord + leaf.index);
      case "input": {
        const walk = leaf.index - shift + 1;
        return loadScalar(
          this.#context.math,
          (this.#walks[walk] as ShapeOperand).dtype,
          point.pointers[walk] as Address,
        );
      }
      case "load": {
        const walk = leaf.operand + 1;
        return loadScalar(
          this.#context.math,
          (this.#walks[walk] as ShapeOperand).dtype,
          this.#address(walk, leaf.at.map(visit), point),
        );
      }
    }
  }

  #coordinatesAddress(walk: number, coordinates: readonly Expression[], point: Point): Address {
    const types = bodyTypes(this.#shape);
    return this.#address(
      walk,
      coordinates.map((coordinate) => this.#scalar(coordinate, types, point)),
      point,
    );
  }

  #address(walk: number, coordinates: readonly Scalar[], point: Point): Address {
    return coordinates.reduce<Address>(
      (address, coordinate, axis) => i32.add(address, i32.mul(coordinate as Address, this.#stride(walk, axis))),
      point.pointers[walk] as Address,
    );
  }

  /** Values and addresses that do not change along the vector axis, computed once before it. */
  #hoist(point: Point): ReadonlyMap<string, Code<ValueType>> {
    const hoisted = new Map<string, Code<ValueType>>();
    const types = bodyTypes(this.#shape);
    const visit = (expression: Expression): void => {
      const key = keyOf(expression);
      if (expression.kind === "constant" || hoisted.has(key)) return;
      if (isUniform(this.#shape, expression, this.#vectorAxis)) {
        const dtype = expressionType(expression, types);
        hoisted.set(key, this.#body.local("v128", splatOf(dtype, this.#scalar(expression, types, point))));
        return;
      }
      switch (expression.kind) {
        case "load":
          hoisted.set(key, this.#body.local("i32", this.#firstAddress(expression, point)));
          return;
        case "unary":
        case "cast":
          return visit(expression.value);
        case "binary":
          visit(expression.left);
          return visit(expression.right);
        case "select":
          visit(expression.condition);
          visit(expression.whenTrue);
          return visit(expression.whenFalse);
      }
    };
    visit(this.#shape.body);
    return hoisted;
  }

  /** Address of the first of four neighbours of a contiguous load, less the part that the vector index contributes. */
  #firstAddress(expression: Extract<Expression, { kind: "load" }>, point: Point): Address {
    const at = contiguousLoad(this.#shape, expression, this.#vectorAxis) ?? expression.at;
    const walk = expression.operand + 1;
    const address = this.#coordinatesAddress(walk, at, point);
    const index = point.indices.get(this.#vectorAxis) as Address;
    return i32.sub(address, i32.mul(index, byteSize[(this.#walks[walk] as ShapeOperand).dtype]));
  }

  /** Sixteen elements of a nest without reductions. */
  #pointSixteen(point: Point, hoisted: ReadonlyMap<string, Code<ValueType>>): void {
    const body = this.#body;
    const { body: expression, output } = this.#shape;
    const reader = new SixteenReader(body, this.#context.math);
    const four = (part: number): Local<"v128"> =>
      body.local("v128", this.#vector(expression, bodyTypes(this.#shape), point, hoisted, undefined, { reader, part }));
    storeSixteen(body, output.dtype, point.pointers[0] as Address, [four(0), four(1), four(2), four(3)]);
  }

  #pointVector(point: Point, hoisted: ReadonlyMap<string, Code<ValueType>>): void {
    const { body: expression, reductions, finish, output, combine } = this.#shape;
    const types = bodyTypes(this.#shape);
    let dtype = expressionType(expression, types);
    let value: Code<"v128">;
    if (reductions === 0) value = this.#vector(expression, types, point, hoisted);
    else {
      const accumulator = this.#body.local("v128", splatOf(dtype, identityOf(combine, dtype)));
      this.#reduce(this.#vectorAxis + 1, point, (inner) => {
        const term = this.#vector(expression, types, inner, hoisted);
        const pair: Expression = {
          kind: "binary",
          operation: combine ?? "add",
          left: { kind: "input", index: 0 },
          right: { kind: "input", index: 1 },
        };
        const combined = emitVector(
          {
            body: this.#body,
            math: this.#context.math,
            operands: [dtype, dtype],
            leaf: (leaf) => (leaf.kind === "input" && leaf.index === 1 ? term : accumulator),
          },
          pair,
        );
        this.#body.set(accumulator, combined);
      });
      value = accumulator;
    }
    if (finish) {
      const all = finishTypes(this.#shape);
      value = this.#vector(finish, all, point, new Map(), value);
      dtype = expressionType(finish, all);
    }
    storeVector(this.#body, output.dtype, point.pointers[0] as Address, value, dtype);
  }

  #vector(
    expression: Expression,
    types: readonly DType[],
    point: Point,
    hoisted: ReadonlyMap<string, Code<ValueType>>,
    reduced?: Code<"v128">,
    within?: PartOfSixteen,
  ): Code<"v128"> {
    const shift = reduced ? 1 : 0;
    return emitVector(
      {
        body: this.#body,
        math: this.#context.math,
        operands: types,
        inline: true,
        uniform: (node) => {
          if (node.kind === "constant" || !isUniform(this.#shape, node, this.#vectorAxis, shift === 1))
            return undefined;
          const known = hoisted.get(keyOf(node));
          if (known) return known as Code<"v128">;
          const scalar = this.#scalar(node, types, point, undefined, shift);
          return this.#body.local("v128", splatOf(expressionType(node, types), scalar));
        },
        leaf: (leaf) => {
          if (reduced && leaf.kind === "input" && leaf.index === 0) return reduced;
          return this.#vectorLeaf(leaf, shift, point, hoisted, within);
        },
      },
      expression,
    );
  }

  #vectorLeaf(
    leaf: Leaf,
    shift: number,
    point: Point,
    hoisted: ReadonlyMap<string, Code<ValueType>>,
    within?: PartOfSixteen,
  ): Code<"v128"> {
    const load = (dtype: DType, address: Address): Code<"v128"> =>
      within
        ? within.reader.load(keyOf(leaf), dtype, address, within.part)
        : loadVector(this.#context.math, dtype, address);
    switch (leaf.kind) {
      case "axis": {
        const first = 4 * (within?.part ?? 0);
        const lanes = i32x4.const(first, first + 1, first + 2, first + 3);
        return i32x4.add(i32x4.splat(point.indices.get(leaf.axis) ?? i32.const(0)), lanes);
      }
      case "parameter":
        return i32x4.splat(this.#word(this.#parameterWord + leaf.index));
      case "input": {
        const walk = leaf.index - shift + 1;
        return load((this.#walks[walk] as ShapeOperand).dtype, point.pointers[walk] as Address);
      }
      case "load": {
        const { dtype } = this.#walks[leaf.operand + 1] as ShapeOperand;
        const first = (hoisted.get(keyOf(leaf)) as Address | undefined) ?? this.#firstAddress(leaf, point);
        const index = point.indices.get(this.#vectorAxis) as Address;
        return load(dtype, i32.add(first, i32.mul(index, byteSize[dtype])));
      }
    }
  }
}
