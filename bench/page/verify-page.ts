/** Runs a package as an application does, in Leafcutter's own Worker, and posts the outputs to the bench's server. */
import { type Backend, load, type Stats } from "../../runtime/index.ts";
import { runModel } from "../state.ts";
import { decodeRuns, encodeRuns, type Tensors } from "../tensor-bundle.ts";

export interface VerifyJob {
  /** Addresses relative to the page. */
  readonly package: string;
  readonly inputs: string;
  readonly result: string;
  readonly backend: Backend;
  /** Most threads; default 1. */
  readonly threads?: number;
}

async function run(job: VerifyJob): Promise<Stats> {
  const runs = decodeRuns(new Uint8Array(await (await fetch(job.inputs)).arrayBuffer()));
  const session = await load(job.package, { backend: job.backend, threads: job.threads ?? 1, cache: false });
  try {
    const outputs: Tensors[] = [];
    for (const inputs of runs) outputs.push(await runModel(session, inputs));
    const stats = await session.stats();
    await fetch(job.result, { method: "POST", body: encodeRuns(outputs) });
    return stats;
  } finally {
    await session.dispose();
  }
}

/** Errors of the runtime keep their message, which has everything in it. */
Object.assign(globalThis, { leafcutterVerify: run });
