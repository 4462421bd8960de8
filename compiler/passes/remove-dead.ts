/** Drops nodes and constants that no output needs: training leftovers, unused branches, what other passes replaced. */
import { removeDead as drop } from "../graph/rewrite.ts";
import { inferNode } from "../ops/infer.ts";
import type { Pass } from "./pass.ts";

export const removeDead: Pass = {
  name: "remove-dead",
  reason: "nothing is computed or shipped that no output needs",
  run: (graph) => drop(graph, inferNode),
};
