/** A fresh page that uses Leafcutter as an application does, in its own Worker, on one thread. */
import { type Backend, load } from "../../runtime/index.ts";
import { roundOf } from "../state.ts";
import { fetchTensors, publish, runOn } from "./visit.ts";

publish(async (query) => {
  const { package: location = "", backend = "auto", inputs: address = "" } = query;
  const given = fetchTensors(address);
  let readyMs: number | null = null;
  const session = await load(location, {
    backend: backend as Backend,
    threads: 1,
    onProgress: ({ phase }) => {
      if (phase === "ready") readyMs ??= performance.now();
    },
  });
  const run = roundOf(session, await given);
  await run();
  const firstOutputMs = performance.now();
  return { readyMs, firstOutputMs, roundTripMs: await runOn(query, run) };
});
