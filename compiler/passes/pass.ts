/** What a pass is: a named function from graph to graph, with the reason it exists. */
import type { Graph } from "../graph/graph.ts";
import { type Rewrite, rewriteNodes } from "../graph/rewrite.ts";
import { inferNode } from "../ops/infer.ts";

export interface Pass {
  readonly name: string;
  /** One sentence for the compile report: what it does and who profits. */
  readonly reason: string;
  readonly run: (graph: Graph) => Graph;
}

/** A pass that is one rewrite, applied until nothing changes. */
export const rewritePass = (name: string, reason: string, rewrite: Rewrite): Pass => ({
  name,
  reason,
  run: (graph) => rewriteNodes(graph, inferNode, rewrite, name),
});
