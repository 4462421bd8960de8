/** GRU: with constant weights a pass makes it leafcutter.Recurrent; with computed ones it runs as a host step. */
import { gru } from "../../../runtime/reference/recurrent.ts";
import { defineOperator, sumTolerance } from "../operator.ts";
import { inferLayer } from "./layer.ts";

export const gruOperator = defineOperator({
  op: "GRU",
  infer: (context) => inferLayer(context, "gru"),
  reference: gru,
  tolerance: sumTolerance,
});
