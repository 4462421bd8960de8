/**
 * What an engine needs for some programs only: the code is imported when a program has such a part, so that a page with
 * a plain model does not load it. A place without imports on demand gives it from the start.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import type { HostStep, Program } from "../format/program.ts";
import type { BoundHostStep } from "./host-step.ts";
import type { States } from "./states.ts";

export interface Extensions {
  /** For programs with host steps; knows the functions of this program. */
  readonly bindHostStep?: ((step: HostStep) => BoundHostStep) | undefined;
  /** For programs with states. */
  readonly states?: typeof States | undefined;
}

/** Imports what `program` needs. Throws program-invalid for a host step that the runtime does not know. */
export async function loadExtensions(program: Program): Promise<Extensions> {
  const hasHostSteps = program.steps.some(({ kind }) => kind === "host");
  const [bindHostStep, states] = await Promise.all([
    hasHostSteps ? import("./host-step.ts").then((module) => module.loadHostSteps(program)) : undefined,
    program.states === undefined ? undefined : import("./states.ts").then((module) => module.States),
  ]);
  return { bindHostStep, states };
}

/** The part of the engine that an extension is, or the error of a caller that did not load it. */
export function extension<T>(loaded: T | undefined, name: string): T {
  if (loaded !== undefined) return loaded;
  throw new LeafcutterError({ code: "internal", message: `the program has ${name}, whose code is not loaded` });
}
