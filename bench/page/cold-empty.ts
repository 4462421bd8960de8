/** A page that loads a script and nothing else: what every other page's times are taken less. */
import { publish } from "./visit.ts";

publish(async () => {
  const now = performance.now();
  return { readyMs: now, firstOutputMs: now, roundTripMs: [] };
});
