/**
 * Selected nodes to bound steps: views for every operand, constants turned into weights (packed where a family
 * wants it, raw otherwise), borders filled before they are read, copies where a value does not lie as its
 * reader needs it.
 */
import { byteSize } from "../../runtime/format/dtype.ts";
import { input } from "../../runtime/format/expression.ts";
import { type Dim, productOf, upperBound } from "../graph/dimension.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { BoundStep, Buffer, Family, Halo, PackedReading, View } from "../kernels/contract.ts";
import type { CostTable } from "../kernels/cost-table.ts";
import { haloFillStep } from "../kernels/halo/bind.ts";
import { bindLoopNest } from "../kernels/loop/bind.ts";
import type { Problem } from "../kernels/problem.ts";
import { identityAccess, type LoopNest } from "../loop/loop.ts";
import type { StepOperand } from "../ops/operator.ts";
import { divisionOf } from "./grain.ts";
import { hostAttributes } from "./host-attributes.ts";
import { covers, isEmpty, type Layout, noHalo } from "./layout.ts";
import type { PlannedStep, PlannedWeight } from "./plan.ts";
import { type ControlItem, isSelected, type Label, type PlanItem } from "./regions.ts";
import type { SelectedNode, SelectedStep } from "./select.ts";
import type { BoundPair } from "./states.ts";
import { familyNanoseconds, nestNanoseconds } from "./step-time.ts";
import { readStored } from "./stored-operands.ts";
import { broadcastView, denseBytes, denseView, haloBytes, haloLayout, haloView, isDense } from "./view.ts";
import { type PackedConstant, type StoredConstant, WeightStore } from "./weights.ts";

export interface BuiltSteps {
  readonly steps: readonly PlannedStep[];
  readonly weights: readonly PlannedWeight[];
  /** Where each graph output ends up: a dense view, but for a growing state. */
  readonly outputs: readonly View[];
}

/** @param nexts Graph outputs, by name, that are the next values of states. */
export function buildSteps(
  graph: Graph,
  items: readonly PlanItem[],
  layout: Layout,
  costs: CostTable,
  nexts: ReadonlyMap<string, BoundPair["kind"]>,
): BuiltSteps {
  return new StepBuilder(graph, layout, costs).build(items, nexts);
}

/** A step whose target is not known before all steps are there. */
interface OpenJump {
  readonly at: number;
  readonly label: Label;
}

/** What has been done on every way to the current place. */
interface Done {
  readonly bordered: ReadonlySet<Buffer>;
  readonly copies: ReadonlyMap<Value, readonly Copy[]>;
}

interface Copy {
  readonly view: View;
  readonly halo: Halo;
}

type FamilyStep = Extract<SelectedStep, { kind: "family" }>;

/** Whether nothing can be written there, whatever the symbols. */
const isEmptyView = ({ shape }: View): boolean => shape.includes(0);

class StepBuilder {
  readonly #graph: Graph;
  readonly #layout: Layout;
  readonly #costs: CostTable;
  readonly #upper: (dim: Dim) => number;
  readonly #steps: PlannedStep[] = [];
  readonly #weights = new WeightStore();
  #bordered = new Set<Buffer>();
  #copies = new Map<Value, readonly Copy[]>();
  /** As it was before each region that is open. */
  readonly #outside: Done[] = [];
  readonly #places = new Map<Label, number>();
  readonly #jumps: OpenJump[] = [];
  readonly #packedReaders = new Map<
    Value,
    { readonly node: Node; readonly step: FamilyStep; readonly index: number }
  >();

  constructor(graph: Graph, layout: Layout, costs: CostTable) {
    this.#graph = graph;
    this.#layout = layout;
    this.#costs = costs;
    this.#upper = (dim) => upperBound(dim, graph.symbols);
  }

  build(items: readonly PlanItem[], nexts: ReadonlyMap<string, BoundPair["kind"]>): BuiltSteps {
    this.#findPacked(items.filter(isSelected));
    for (const item of items) {
      if (isSelected(item)) this.#add(item);
      else this.#addControl(item);
    }
    for (const { at, label } of this.#jumps) {
      const step = this.#steps[at];
      if (step?.kind === "jump" || step?.kind === "repeat")
        this.#steps[at] = { ...step, target: this.#places.get(label) ?? this.#steps.length };
    }
    const outputs = this.#graph.outputs.map(({ name, value }) => this.#outputView(value, nexts.get(name)));
    return { steps: this.#steps, weights: this.#weights.all, outputs };
  }

  /** Constants that some family reads in its packed layout, where a nest can read them too. */
  #findPacked(selected: readonly SelectedNode[]): void {
    for (const entry of selected) {
      if (entry.kind !== "steps") continue;
      for (const step of entry.steps) {
        if (step.kind !== "family" || !step.family.readPacked) continue;
        for (const index of step.family.packedOperands(step.problem)) {
          const operand = step.operands[index];
          const value = operand?.kind === "input" ? entry.node.inputs[operand.index] : undefined;
          if (value && !this.#packedReaders.has(value))
            this.#packedReaders.set(value, { node: entry.node, step, index });
        }
      }
    }
  }

  /** `value` in the packed layout of the family that also reads it. */
  #packedReading(value: Value): PackedReading | undefined {
    const reader = this.#packedReaders.get(value);
    if (!reader) return undefined;
    const { node, step, index } = reader;
    const packed = this.#pack(node, step);
    return packed && step.family.readPacked?.(step.variant, step.problem, index, packed);
  }

  #add(entry: SelectedNode): void {
    const { node } = entry;
    switch (entry.kind) {
      case "view":
        this.#addView(node);
        return;
      case "host":
        this.#addHost(node, entry.reference);
        return;
      case "steps": {
        const temporaries = entry.temporaries.map((type, index) => {
          const buffer: Buffer = {
            kind: "scratch",
            name: `${node.name} temporary ${index}`,
            dtype: type.dtype,
            bytes: denseBytes(type.dtype, type.shape),
          };
          return denseView(buffer, type.dtype, type.shape);
        });
        for (const step of entry.steps) this.#addStep(node, step, temporaries);
      }
    }
  }

  #addControl(item: ControlItem): void {
    switch (item.kind) {
      case "label":
        this.#places.set(item.label, this.#steps.length);
        return;
      case "enter":
        this.#outside.push({ bordered: this.#bordered, copies: this.#copies });
        this.#bordered = new Set(this.#bordered);
        this.#copies = new Map(this.#copies);
        return;
      case "leave": {
        const outside = this.#outside.pop();
        this.#bordered = new Set(outside?.bordered);
        this.#copies = new Map(outside?.copies);
        return;
      }
      case "jump":
      case "repeat": {
        const { node, label } = item;
        const condition = item.condition && this.#read(item.condition);
        this.#jumps.push({ at: this.#steps.length, label });
        const common = { name: node.name, op: node.op, target: 0, condition };
        if (item.kind === "jump") this.#steps.push({ kind: "jump", ...common });
        else {
          const iteration = item.iteration && this.#read(item.iteration);
          this.#steps.push({ kind: "repeat", ...common, count: item.count, iteration });
        }
      }
    }
  }

  #addView(node: Node): void {
    const [source] = node.inputs;
    const [output] = node.outputs;
    if (!source || !output || this.#layout.sharesBytes(source, output)) return;
    const from = this.#read(source);
    const to = this.#layout.viewOf(output);
    // The bytes move; both sides in the source's type, so that nothing is converted.
    const shape = isDense(from) ? [productOf(from.shape)] : from.shape;
    const flat = (view: View): View => denseView(view.buffer, from.dtype, shape, view.offset);
    this.#copy(node.name, isDense(from) ? flat(from) : from, flat(to));
  }

  #addHost(node: Node, reference: string): void {
    this.#steps.push({
      kind: "host",
      name: node.name,
      op: node.op,
      reference,
      version: node.version,
      attributes: hostAttributes(node),
      inputs: node.inputs.map((value) => value && this.#dense(value)),
      outputs: node.outputs.map((value) => this.#layout.viewOf(value)),
    });
  }

  #addStep(node: Node, step: SelectedStep, temporaries: readonly View[]): void {
    if (step.kind === "family") {
      this.#addFamilyStep(node, step, temporaries);
      return;
    }
    if (step.output.kind === "output" && this.#layout.partOf(node.outputs[step.output.index] as Value)) return;
    const only = step.operands[0];
    const member = only?.kind === "input" && step.operands.length === 1 ? node.inputs[only.index] : undefined;
    const output = node.outputs[0];
    if (node.op === "Concat" && member && output && this.#layout.isPlaced(member, output)) return;
    const write = this.#writeView(node, step.output, temporaries);
    if (isEmptyView(write)) return;
    this.#border(write);
    const { nest, views } = this.#resolveConstants(node, step.nest, step.operands, temporaries);
    this.#push(node.name, node.op, bindLoopNest(nest, views, write));
  }

  #addFamilyStep(node: Node, step: FamilyStep, temporaries: readonly View[]): void {
    const { family, variant, problem } = step;
    const packedIndices = new Set(family.packedOperands(problem));
    const outputs = step.outputs.map((output) => this.#writeView(node, output, temporaries));
    if (outputs.every(isEmptyView)) return;
    for (const output of outputs) this.#border(output);
    const operands = step.operands.map((operand, index) => {
      if (!operand || packedIndices.has(index)) return undefined;
      const view = this.#operandView(node, operand, temporaries, family, problem, index);
      const isEpilogue = index >= 3 && ("epilogueOperands" in problem || "operandTypes" in problem);
      return isEpilogue && outputs[0] ? broadcastView(view, outputs[0].shape) : view;
    });
    const packed = this.#pack(node, step);
    const scratchBytes = family.scratchBytes?.(variant, problem) ?? 0;
    const scratch: Buffer | undefined =
      scratchBytes === 0
        ? undefined
        : { kind: "scratch", name: `${node.name} scratch`, dtype: "float32", bytes: scratchBytes };
    const bound = family.bind(variant, problem, operands, outputs, packed, scratch);
    this.#push(
      node.name,
      node.op,
      bound,
      familyNanoseconds(step.nanoseconds, problem, outputs[0], this.#costs, this.#upper),
    );
  }

  #pack(node: Node, step: FamilyStep): Buffer | undefined {
    const { family, variant, problem } = step;
    const indices = family.packedOperands(problem);
    if (indices.length === 0 || !family.pack) return undefined;
    const values = indices.map((index) => {
      const operand = step.operands[index];
      return operand?.kind === "input" ? node.inputs[operand.index] : undefined;
    });
    const constants = values.map((value) => value && this.#graph.constants.get(value));
    const pack = family.pack.bind(
      family,
      variant,
      problem,
      constants,
      values.map((value) => value?.type.storage),
    );
    const key =
      family.packKey?.(variant, problem) ?? `${variant.name} ${JSON.stringify({ ...problem, epilogue: undefined })}`;
    return this.#weights.packed(values, `${family.name}/${key}`, pack);
  }

  #operandView(
    node: Node,
    operand: StepOperand,
    temporaries: readonly View[],
    family: Family<Problem>,
    problem: Problem,
    index: number,
  ): View {
    if (operand.kind === "temporary") return temporaries[operand.index] as View;
    const value = (operand.kind === "input" ? node.inputs : node.outputs)[operand.index] as Value;
    const halo = family.halo?.(problem, index);
    if (halo && !isEmpty(halo)) return this.#withBorder(value, halo);
    return family.strided ? this.#read(value) : this.#dense(value);
  }

  #writeView(node: Node, operand: StepOperand, temporaries: readonly View[]): View {
    if (operand.kind === "temporary") return temporaries[operand.index] as View;
    return this.#layout.viewOf((operand.kind === "output" ? node.outputs : node.inputs)[operand.index] as Value);
  }

  /** As readStored, for operands that may be constants. */
  #resolveConstants(
    node: Node,
    nest: LoopNest,
    operands: readonly StepOperand[],
    temporaries: readonly View[],
  ): { readonly nest: LoopNest; readonly views: readonly View[] } {
    const sources = operands.map((operand, index): View | StoredConstant | PackedConstant => {
      if (operand.kind === "temporary") return temporaries[operand.index] as View;
      const value = operand.kind === "input" ? node.inputs[operand.index] : undefined;
      const isIndexed = (nest.operands[index]?.access ?? "indexed") === "indexed";
      const stored = value && this.#storedConstant(value, isIndexed);
      return stored ?? this.#read(value ?? (node.outputs[operand.index] as Value));
    });
    return readStored(nest, sources);
  }

  /** A constant that does not lie row-major in its own type; `indexed` when every element is read by computed coordinates. */
  #storedConstant(value: Value, indexed: boolean): StoredConstant | PackedConstant | undefined {
    const tensor = this.#graph.constants.get(value);
    if (!tensor) return undefined;
    const reading = indexed ? this.#packedReading(value) : undefined;
    if (reading) return { kind: "packed", reading };
    return value.type.storage && this.#weights.stored(value, tensor, value.type.storage);
  }

  /** However the value lies. */
  #read(value: Value): View {
    const constant = this.#graph.constants.get(value);
    return constant ? this.#weights.raw(value, constant) : this.#layout.viewOf(value);
  }

  /** Row-major; copied when it is not. */
  #dense(value: Value): View {
    const view = this.#read(value);
    return isDense(view) ? view : this.#copyOf(value, noHalo);
  }

  /** With at least `halo` around it; copied when its own border is narrower. */
  #withBorder(value: Value, halo: Halo): View {
    const constant = this.#graph.constants.has(value);
    return !constant && covers(this.#layout.haloOf(value), halo)
      ? this.#layout.viewOf(value)
      : this.#copyOf(value, halo);
  }

  #copyOf(value: Value, halo: Halo): View {
    const copies = this.#copies.get(value) ?? [];
    const known = copies.find((copy) => covers(copy.halo, halo) && (!isEmpty(halo) || isEmpty(copy.halo)));
    if (known) return known.view;
    const { dtype, shape } = value.type;
    const bytes = isEmpty(halo) ? denseBytes(dtype, shape) : haloBytes(dtype, shape, halo);
    const buffer: Buffer = { kind: "scratch", name: `${value.name} copy`, dtype, bytes };
    const view = isEmpty(halo) ? denseView(buffer, dtype, shape) : haloView(buffer, dtype, shape, halo);
    if (!isEmpty(halo)) this.#fillBorder(value.name, view, halo);
    this.#copy(`${value.name} copy`, this.#read(value), view);
    this.#copies.set(value, [...copies, { view, halo }]);
    return view;
  }

  #copy(name: string, from: View, to: View): void {
    if (isEmptyView(to)) return;
    const access = identityAccess(to.shape.length);
    const nest: LoopNest = {
      extents: to.shape,
      reductions: 0,
      operands: [{ dtype: from.dtype, access }],
      parameters: [],
      body: input(0),
      output: { dtype: to.dtype, access },
    };
    this.#push(name, "leafcutter.Copy", bindLoopNest(nest, [from], to));
  }

  /** Fills the border of the buffer that `view` lies in, before anything is written there. */
  #border(view: View): void {
    if (this.#bordered.has(view.buffer)) return;
    this.#bordered.add(view.buffer);
    const owner = this.#layout.borderOf(view.buffer);
    if (owner) this.#fillBorder(owner.name, owner.view, owner.halo);
  }

  #fillBorder(name: string, view: View, halo: Halo): void {
    const layout = haloLayout(view.shape, halo);
    this.#push(`${name} border`, "leafcutter.Border", haloFillStep(view, layout, byteSize[view.dtype], halo.value));
  }

  /** A growing state is written in place; the next value of a fixed one must outlive every state's old value. */
  #outputView(value: Value, next: BoundPair["kind"] | undefined): View {
    const view = this.#read(value);
    if (next === "growing") return view;
    const fleeting = next === "fixed" && view.buffer.kind === "state";
    if (!this.#graph.constants.has(value) && isDense(view) && !fleeting) return view;
    return this.#copyOf(value, noHalo);
  }

  /** `nanoseconds` is the cost table's word on the step of a family. */
  #push(name: string, op: string, step: BoundStep, nanoseconds?: number): void {
    const known = nanoseconds ?? nestNanoseconds(step, this.#costs, this.#upper);
    const division = divisionOf(step, known, this.#upper);
    this.#steps.push({ kind: "kernel", name, op, ...step, ...division });
  }
}
