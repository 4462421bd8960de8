/**
 * Plan to Program: symbolic arguments become words relative to placed buffers, every address with the
 * range it may touch. The same program serves every variant.
 */
import { extentBounds } from "../../runtime/format/extent.ts";
import type { Access, HostOperand, Port, Program, ProgramStep, State } from "../../runtime/format/program.ts";
import { addDims, type Dim, maximumDim } from "../graph/dimension.ts";
import type { Argument, Kernel, View } from "../kernels/contract.ts";
import type { Plan, PlannedPort, PlannedState } from "../plan/plan.ts";

/** A program with the kernels it calls, in table order. */
export interface GeneratedProgram {
  readonly program: Program;
  readonly kernels: readonly Kernel[];
}

const bits = new DataView(new ArrayBuffer(4));

function floatBits(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}

export function generateProgram(plan: Plan): GeneratedProgram {
  const kernels: Kernel[] = [];
  const indices = new Map<string, number>();
  const indexOf = (kernel: Kernel): number => {
    const known = indices.get(kernel.key);
    if (known !== undefined) return known;
    indices.set(kernel.key, kernels.length);
    kernels.push(kernel);
    return kernels.length - 1;
  };
  const addressOf = (view: { readonly buffer: View["buffer"]; readonly offset: Dim }): Dim =>
    addDims(plan.addresses.get(view.buffer) ?? 0, view.offset);
  const word = (argument: Argument): Dim => {
    switch (argument.kind) {
      case "address":
        return addressOf(argument);
      case "integer":
        return argument.value;
      case "float":
        return floatBits(argument.value);
    }
  };
  const accessesOf = (list: readonly Argument[]): readonly Access[] =>
    list.flatMap((argument, index) =>
      argument.kind === "address"
        ? [
            {
              word: index,
              start: plan.addresses.get(argument.buffer) ?? 0,
              bytes: argument.buffer.bytes,
              mode: argument.access,
            },
          ]
        : [],
    );
  const fixedAddress = (view: View): number => {
    const [low, high] = extentBounds(addressOf(view), plan.symbols);
    if (low !== high) throw new RangeError(`${view.buffer.name} has no fixed address`);
    return low;
  };
  const operand = (view: View): HostOperand => ({ dtype: view.dtype, shape: view.shape, address: fixedAddress(view) });
  const port = ({ name, dtype, shape, value, view }: PlannedPort): Port => ({
    name,
    dtype,
    shape,
    ...(value ? { value } : {}),
    address: fixedAddress(view),
  });
  const condition = (view: View | undefined): { readonly condition?: number } =>
    view ? { condition: fixedAddress(view) } : {};
  /** Counts are not negative, which the bounds of an expanded product of dimensions do not always show. */
  const counted = (count: Dim): Dim => (extentBounds(count, plan.symbols)[0] < 0 ? maximumDim(0, count) : count);
  const steps = plan.steps.map((step): ProgramStep => {
    if (step.kind === "jump") {
      const { kind, name, op, target } = step;
      return { kind, name, op, target, ...condition(step.condition) };
    }
    if (step.kind === "repeat") {
      const { kind, name, op, target, count, iteration } = step;
      const counted = iteration ? { iteration: fixedAddress(iteration) } : {};
      return { kind, name, op, target, count, ...condition(step.condition), ...counted };
    }
    if (step.kind === "host") {
      return {
        ...step,
        inputs: step.inputs.map((view) => (view ? operand(view) : null)),
        outputs: step.outputs.map(operand),
      };
    }
    return {
      kind: "kernel",
      name: step.name,
      op: step.op,
      kernel: indexOf(step.kernel),
      range: counted(step.range),
      ...(step.grain === undefined ? {} : { grain: step.grain }),
      arguments: step.arguments.map(word),
      accesses: accessesOf(step.arguments),
      flops: counted(step.flops),
      bytes: counted(step.bytes),
      invocations: counted(step.invocations),
    };
  });
  const state = ({ view, ...planned }: PlannedState): State => {
    const address = fixedAddress(view);
    switch (planned.kind) {
      case "fixed":
        return { ...planned, address, source: fixedAddress(planned.source) };
      case "growing":
        return { ...planned, address };
    }
  };
  const program: Program = {
    symbols: [...plan.symbols.values()],
    memory: plan.memory,
    inputs: plan.inputs.map(port),
    outputs: plan.outputs.map(port),
    ...(plan.states.length > 0 ? { states: plan.states.map(state) } : {}),
    kernels: kernels.map(({ name }) => ({ name })),
    steps,
  };
  return { program, kernels };
}
