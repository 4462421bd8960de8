/**
 * The body of one WebAssembly function under construction: statements are appended in order, control flow
 * is structured by callbacks. Locals declared inside a callback (or `scope`) end with it and their places are
 * reused; using one afterwards is an error. A local without an initial value holds an unspecified value.
 */
import { atomicArgument, atomicPrefix } from "./atomic.ts";
import { type Bytes, unsigned, vector } from "./encode.ts";
import {
  type ArgumentsOf,
  argumentCode,
  type Code,
  type CodeItem,
  type Expression,
  FunctionReference,
  Local,
  type MemoryArgument,
  memoryArgument,
  type Operand,
  type Signature,
  toExpression,
  type ValueType,
  VectorConstant,
  valueTypeCode,
} from "./expression.ts";
import { opcode } from "./instruction.ts";
import { i32 } from "./scalar.ts";

/** The target of a branch: the end of a block or `if`, or the start of a loop. */
export interface Label {
  readonly level: number;
}

type AnySignature = Signature<readonly ValueType[], readonly ValueType[]>;
type Store<T extends ValueType> = (address: Operand<"i32">, value: Operand<T>, argument?: MemoryArgument) => void;
type StoreLane = (address: Operand<"i32">, value: Expression<"v128">, lane: number, argument?: MemoryArgument) => void;

const blockOpcode = 0x02;
const loopOpcode = 0x03;
const returnOpcode = 0x0f;

/** v128.const of sixteen zero bytes. */
const isZero = ({ code }: VectorConstant): boolean => code.slice(2).every((byte) => byte === 0);

export class BodyBuilder {
  readonly #signature: AnySignature;
  readonly #typeIndex: (signature: AnySignature) => number;
  readonly #code: CodeItem[] = [];
  readonly #slots: ValueType[] = [];
  readonly #free: Local<ValueType>["place"][] = [];
  #scope: Local<ValueType>[] = [];
  #level = 0;
  /** The local that the last statement set, when the next one may still turn that set into a tee. */
  #justSet: Local<ValueType> | undefined;
  #endsInReturn = false;

  /** `typeIndex` gives the module's index of a function type. */
  constructor(signature: AnySignature, typeIndex: (signature: AnySignature) => number) {
    this.#signature = signature;
    this.#typeIndex = typeIndex;
  }

  /** One local per parameter of the function, in order. */
  parameters(): Local<ValueType>[] {
    return this.#signature.params.map((type, index) => new Local(type, this, { kind: "parameter", index }));
  }

  /** A variable that lives until the enclosing callback ends. */
  local<T extends ValueType>(type: T, initial?: Operand<T>): Local<T> {
    const freed = this.#free.findLastIndex((place) => this.#slots[place.index] === type);
    const place = this.#free.splice(freed, freed < 0 ? 0 : 1)[0] ?? {
      kind: "slot",
      index: this.#slots.push(type) - 1,
    };
    const local = new Local(type, this, place);
    this.#scope.push(local);
    if (initial !== undefined) this.set(local, initial);
    return local;
  }

  /** Runs `statements`; the locals they declare end with it. */
  scope(statements: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    statements();
    for (const local of this.#scope.reverse()) {
      local.live = false;
      this.#free.push(local.place);
    }
    this.#scope = outer;
  }

  /**
   * Runs `statements` with the constant vectors they use held in locals that are set in front of them, and that live
   * until the enclosing callback ends. For loops: engines that keep a constant where it is written then load it once.
   * Zeros, which are one instruction everywhere, stay.
   */
  hoistConstants(statements: () => void): void {
    const start = this.#code.length;
    this.#justSet = undefined;
    this.scope(statements);
    const region = this.#code.splice(start);
    const held = new Map<string, Local<"v128">>();
    for (const item of region) {
      if (!(item instanceof VectorConstant) || held.has(item.code.join()) || isZero(item)) continue;
      // A place of its own: those that are free now were in use inside the region.
      const local = new Local("v128", this, { kind: "slot", index: this.#slots.push("v128") - 1 });
      this.#scope.push(local);
      held.set(item.code.join(), local);
      for (const byte of item.code) this.#code.push(byte);
      this.#code.push(0x21, local);
    }
    for (const item of region) {
      const local = item instanceof VectorConstant ? held.get(item.code.join()) : undefined;
      if (local) this.#code.push(0x20, local);
      else this.#code.push(item);
    }
    this.#justSet = undefined;
  }

  set<T extends ValueType>(local: Local<T>, value: Operand<T>): void {
    const { code } = toExpression<T>(local.type, value);
    if (code.length === 2 && code[1] === local) return;
    this.#emit(code, 0x21, local);
    this.#justSet = local;
  }

  /** Sets a local and leaves its value: an expression, so the set happens where it is used. */
  tee<T extends ValueType>(local: Local<T>, value: Operand<T>): Expression<T> {
    return { type: local.type, code: [...toExpression<T>(local.type, value).code, 0x22, local] };
  }

  /** A block: branching to the label leaves it. */
  block(statements: (label: Label) => void): void {
    this.#structure([blockOpcode, 0x40], statements);
  }

  /** A loop: branching to the label starts it again; falling off its end leaves it. */
  loop(statements: (label: Label) => void): void {
    this.#structure([loopOpcode, 0x40], statements);
  }

  /** Two-way choice; a constant condition emits only the side it takes. Branching to the label leaves it. */
  if(condition: Operand<"i32">, then: (label: Label) => void, otherwise?: (label: Label) => void): void {
    const test = toExpression("i32", condition);
    if (test.constant !== undefined) {
      const taken = test.constant !== 0 ? then : otherwise;
      if (taken !== undefined) this.block(taken);
      return;
    }
    this.#structure([...test.code, 0x04, 0x40], (label) => {
      this.scope(() => then(label));
      if (otherwise === undefined) return;
      this.#emit([], 0x05);
      otherwise(label);
    });
  }

  /**
   * Counts an i32 from `start` while it is below `end` (signed), by a positive `step`; tests before the
   * first round. `end` and `step` are evaluated once unless they are locals, which must then stay unchanged.
   */
  forRange(
    start: Operand<"i32">,
    end: Operand<"i32">,
    step: Operand<"i32">,
    statements: (index: Local<"i32">) => void,
  ): void {
    this.scope(() => {
      const first = toExpression("i32", start);
      const index = this.local("i32", first);
      const limit = this.#stable(toExpression("i32", end));
      const stride = this.#stable(toExpression("i32", step));
      const firstTest = first.constant === undefined ? i32.ltS(index, limit) : i32.ltS(first.constant, limit);
      const rounds = (): void => {
        this.loop((again) => {
          this.scope(() => statements(index));
          this.branchIf(again, i32.ltS(this.tee(index, i32.add(index, stride)), limit));
        });
      };
      if (firstTest.constant === undefined) this.if(firstTest, rounds);
      else if (firstTest.constant !== 0) rounds();
    });
  }

  branch(label: Label): void {
    this.#emit([], 0x0c, ...unsigned(this.#depth(label)));
  }

  branchIf(label: Label, condition: Operand<"i32">): void {
    const test = toExpression("i32", condition);
    if (test.constant === 0) return;
    if (test.constant !== undefined) this.branch(label);
    else this.#emit(test.code, 0x0d, ...unsigned(this.#depth(label)));
  }

  /** Jumps to `labels[index]`, or to `otherwise` when the index is out of range. */
  branchTable(index: Operand<"i32">, labels: readonly Label[], otherwise: Label): void {
    const depths = labels.map((label) => unsigned(this.#depth(label)));
    this.#emit(toExpression("i32", index).code, 0x0e, ...vector(depths), ...unsigned(this.#depth(otherwise)));
  }

  /** Calls a function for its effect; results are dropped. (Its result as an expression: `call` of expression.ts.) */
  call<const P extends readonly ValueType[]>(
    target: FunctionReference<P, readonly ValueType[]>,
    ...values: ArgumentsOf<P>
  ): void {
    this.#emit(argumentCode(target.params, values), 0x10, target, ...target.results.map(() => 0x1a));
  }

  /** Calls a function and sets one local per result. */
  callInto<const P extends readonly ValueType[]>(
    locals: readonly Local<ValueType>[],
    target: FunctionReference<P, readonly ValueType[]>,
    ...values: ArgumentsOf<P>
  ): void {
    if (locals.map((local) => local.type).join() !== target.results.join()) {
      throw new TypeError(`${target.name} returns (${target.results.join(", ")})`);
    }
    const sets = [...locals].reverse().flatMap((local): CodeItem[] => [0x21, local]);
    this.#emit(argumentCode(target.params, values), 0x10, target, ...sets);
  }

  /** Calls the function at an index of the module's table for its effect; results are dropped. */
  callIndirect<const P extends readonly ValueType[]>(
    signature: Signature<P, readonly ValueType[]>,
    tableIndex: Operand<"i32">,
    ...values: ArgumentsOf<P>
  ): void {
    this.#emit(this.#indirect(signature, tableIndex, values), ...signature.results.map(() => 0x1a));
  }

  /** The one result of a call through the module's table. */
  callIndirectResult<const P extends readonly ValueType[], R extends ValueType>(
    signature: Signature<P, readonly [R]>,
    tableIndex: Operand<"i32">,
    ...values: ArgumentsOf<P>
  ): Expression<R> {
    return { type: signature.results[0], code: this.#indirect(signature, tableIndex, values) };
  }

  return(...values: readonly Expression<ValueType>[]): void {
    this.#emit(argumentCode(this.#signature.results, values), returnOpcode);
    this.#endsInReturn = this.#level === 0;
  }

  unreachable(): void {
    this.#emit([], 0x00);
  }

  /** Evaluates an expression for its effect. */
  drop(value: Expression<ValueType>): void {
    this.#emit(value.code, 0x1a);
  }

  readonly i32Store: Store<"i32"> = this.#store("i32", [0x36]);
  readonly i32Store8: Store<"i32"> = this.#store("i32", [0x3a]);
  readonly i32Store16: Store<"i32"> = this.#store("i32", [0x3b]);
  readonly i64Store: Store<"i64"> = this.#store("i64", [0x37]);
  readonly i64Store8: Store<"i64"> = this.#store("i64", [0x3c]);
  readonly i64Store16: Store<"i64"> = this.#store("i64", [0x3d]);
  readonly i64Store32: Store<"i64"> = this.#store("i64", [0x3e]);
  readonly f32Store: Store<"f32"> = this.#store("f32", [0x38]);
  readonly f64Store: Store<"f64"> = this.#store("f64", [0x39]);
  readonly v128Store: Store<"v128"> = this.#store("v128", opcode(0xfd, 11));
  readonly v128Store8Lane: StoreLane = this.#storeLane(16, 88);
  readonly v128Store16Lane: StoreLane = this.#storeLane(8, 89);
  readonly v128Store32Lane: StoreLane = this.#storeLane(4, 90);
  readonly v128Store64Lane: StoreLane = this.#storeLane(2, 91);

  /** An atomic store of a word; the address is a multiple of 4. */
  atomicStore(address: Operand<"i32">, value: Operand<"i32">, place: Pick<MemoryArgument, "offset"> = {}): void {
    this.#emit(argumentCode(["i32", "i32"], [address, value]), atomicPrefix, 0x17, ...atomicArgument(place));
  }

  /** Orders the plain accesses around it for other threads. */
  atomicFence(): void {
    this.#emit([], atomicPrefix, 0x03, 0x00);
  }

  /** Copies `size` bytes; the ranges may overlap. */
  memoryCopy(destination: Operand<"i32">, source: Operand<"i32">, size: Operand<"i32">): void {
    this.#emit(argumentCode(["i32", "i32", "i32"], [destination, source, size]), 0xfc, 10, 0, 0);
  }

  /** Sets `size` bytes to the low byte of `value`. */
  memoryFill(destination: Operand<"i32">, value: Operand<"i32">, size: Operand<"i32">): void {
    this.#emit(argumentCode(["i32", "i32", "i32"], [destination, value, size]), 0xfc, 11, 0);
  }

  /** The bytes of the body: local declarations grouped by type, code, end. */
  encode(functionIndex: (target: FunctionReference) => number): Bytes {
    const types = [...new Set(this.#slots)];
    const places = types.flatMap((type) => this.#slots.flatMap((slot, index) => (slot === type ? [index] : [])));
    const indices = new Map(places.map((slot, index) => [slot, this.#signature.params.length + index]));
    const groups = types.map((type) => [
      ...unsigned(this.#slots.filter((slot) => slot === type).length),
      valueTypeCode(type),
    ]);
    const bytesOf = (item: Exclude<CodeItem, number>): Bytes => {
      if (item instanceof FunctionReference) return unsigned(functionIndex(item));
      if (item instanceof VectorConstant) return item.code;
      const { kind, index } = item.place;
      return unsigned(kind === "parameter" ? index : (indices.get(index) ?? index));
    };
    const bytes: number[] = [...vector(groups)];
    for (const item of this.#code) {
      if (typeof item === "number") bytes.push(item);
      else bytes.push(...bytesOf(item));
    }
    bytes.push(...this.#ending(), 0x0b);
    return bytes;
  }

  /** A function with results must not fall off its end, so a body without a final return ends in a trap. */
  #ending(): Bytes {
    return this.#signature.results.length > 0 && !this.#endsInReturn ? [0x00] : [];
  }

  #emit(operands: Code, ...instruction: Code): void {
    for (const item of [...operands, ...instruction]) {
      if (item instanceof Local && (item.owner !== this || !item.live)) {
        throw new Error(`a local of type ${item.type} is used outside the scope that declared it`);
      }
    }
    const continuesSet = operands[0] === 0x20 && operands[1] === this.#justSet && this.#justSet !== undefined;
    if (continuesSet) this.#code[this.#code.length - 2] = 0x22;
    for (const item of continuesSet ? operands.slice(2) : operands) this.#code.push(item);
    for (const item of instruction) this.#code.push(item);
    this.#justSet = undefined;
    this.#endsInReturn = false;
  }

  #structure(opening: Code, statements: (label: Label) => void): void {
    this.#emit(opening);
    this.#level += 1;
    const label = { level: this.#level };
    this.scope(() => statements(label));
    this.#emit([], 0x0b);
    this.#level -= 1;
  }

  #depth(label: Label): number {
    if (label.level > this.#level) throw new Error("branch to a label whose block has ended");
    return this.#level - label.level;
  }

  #stable(value: Expression<"i32">): Expression<"i32"> {
    return value.constant !== undefined || value instanceof Local ? value : this.local("i32", value);
  }

  #indirect(signature: AnySignature, tableIndex: Operand<"i32">, values: readonly Operand<ValueType>[]): Code {
    const index = toExpression("i32", tableIndex);
    return [...argumentCode(signature.params, values), ...index.code, 0x11, ...unsigned(this.#typeIndex(signature)), 0];
  }

  #store<T extends ValueType>(type: T, instruction: Bytes): Store<T> {
    return (address, value, argument = {}) => {
      const operands = [...toExpression("i32", address).code, ...toExpression(type, value).code];
      this.#emit(operands, ...instruction, ...memoryArgument(argument));
    };
  }

  #storeLane(count: number, code: number): StoreLane {
    return (address, value, lane, argument = {}) => {
      if (!Number.isInteger(lane) || lane < 0 || lane >= count) throw new RangeError(`lane ${lane} of ${count}`);
      const operands = [...toExpression("i32", address).code, ...value.code];
      this.#emit(operands, 0xfd, code, ...memoryArgument(argument), lane);
    };
  }
}
