/**
 * A plan's costs on a device: time by the cost table (and the bytes of a step at the bandwidth of what a run touches), energy by counts, memory as it is laid out. Symbols stand at their upper bounds, loops at one iteration.
 */
import { byteSize } from "../../runtime/format/dtype.ts";
import { costsOf, type DeviceProfile } from "../budget/device-profile.ts";
import { energyOf, operationsOf } from "../budget/energy.ts";
import type { PlanCosts, StepCosts } from "../budget/plan-costs.ts";
import { type Dim, productOf, upperBound } from "../graph/dimension.ts";
import { bandwidthAt, runNanoseconds } from "../kernels/cost-table.ts";
import { alignUp } from "./memory.ts";
import type { Plan, PlannedPort } from "./plan.ts";

const pageBytes = 65536;
/** Assumed of a reference function in the runtime: it is plain JavaScript. */
const hostNanoseconds = 20_000;

export function costOfPlan(plan: Plan, profile: DeviceProfile): PlanCosts {
  const footprint = plan.memory.weights.bytes + plan.memory.arena.bytes;
  const bandwidth = bandwidthAt(costsOf(profile), footprint);
  const namesOf = new Map(plan.weights.map(({ buffer, constants }) => [buffer, constants]));
  const upper = (dim: Dim): number => upperBound(dim, plan.symbols);
  const steps = plan.steps.map((step): StepCosts => {
    const { name, op } = step;
    if (step.kind !== "kernel") {
      const nanoseconds = step.kind === "host" ? hostNanoseconds : 0;
      return { name, op, constants: [], nanoseconds, joules: profile.energy.idleWatts * nanoseconds * 1e-9 };
    }
    const weights = new Set(
      step.arguments.flatMap((argument) =>
        argument.kind === "address" && argument.buffer.kind === "weight" ? [argument.buffer] : [],
      ),
    );
    const bytes = upper(step.bytes);
    // A table of which a run reads some rows has more bytes than the step moves.
    const weightBytes = Math.min(
      bytes,
      [...weights].reduce((sum, buffer) => sum + upper(buffer.bytes), 0),
    );
    const nanoseconds = step.nanoseconds + (bandwidth === undefined ? 0 : bytes / bandwidth);
    const counts = {
      nanoseconds,
      weightBytes,
      valueBytes: bytes - weightBytes,
      ...operationsOf(op, upper(step.flops)),
    };
    return {
      name,
      op,
      constants: [...weights].flatMap((buffer) => namesOf.get(buffer) ?? []),
      nanoseconds,
      joules: energyOf(counts, footprint, profile.energy),
    };
  });
  const inSteps = steps.reduce((sum, step) => sum + step.nanoseconds, 0);
  const sizeOf = ({ dtype, shape }: PlannedPort): number => upper(productOf(shape)) * byteSize[dtype];
  return {
    memoryBytes: plan.memory.pages * pageBytes,
    nanoseconds: inSteps + runNanoseconds(costsOf(profile), plan.inputs.map(sizeOf), plan.outputs.map(sizeOf), inSteps),
    joules: steps.reduce((sum, step) => sum + step.joules, 0),
    steps,
    weights: plan.weights.map(({ constants, bytes }) => ({ constants, bytes: alignUp(bytes.byteLength) })),
  };
}
